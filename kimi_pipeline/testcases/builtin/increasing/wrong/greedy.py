input()
c, last = 0, -10**10
for x in map(int, input().split()):
    if x > last:
        c += 1
        last = x
print(c)
