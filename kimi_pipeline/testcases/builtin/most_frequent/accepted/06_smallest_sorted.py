input()
a = sorted(map(int, input().split()))
print(max(a, key=a.count))
