input()
a = list(map(int, input().split()))
c = 0
while a:
    i = a.index(min(a))
    c += i
    a.pop(i)
print(c)
