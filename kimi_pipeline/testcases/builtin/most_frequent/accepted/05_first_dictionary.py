input()
c = {}
for x in input().split():
    c[x] = c.get(x, 0) + 1
print(max(c, key=c.get))
