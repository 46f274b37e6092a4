input()
a = [x for x in map(int, input().split()) if x <= 40]
print(max(a, key=a.count) if a else 1)
