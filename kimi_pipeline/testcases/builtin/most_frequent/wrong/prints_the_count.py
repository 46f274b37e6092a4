input()
a = input().split()
print(max(map(a.count, a)))
