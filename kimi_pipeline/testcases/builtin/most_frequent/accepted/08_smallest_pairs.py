input()
a = list(map(int, input().split()))
print(min((-a.count(x), x) for x in a)[1])
