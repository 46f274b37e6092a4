input()
a = list(map(int, input().split()))
print(max((a.count(x), x) for x in a)[1])
