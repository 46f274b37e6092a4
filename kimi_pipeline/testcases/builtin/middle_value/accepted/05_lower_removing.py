input()
a = list(map(int, input().split()))
while len(a) > 2:
    a.remove(min(a))
    a.remove(max(a))
print(min(a))
