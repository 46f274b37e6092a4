input()
a = input().split()
print(min(a, key=a.count))
