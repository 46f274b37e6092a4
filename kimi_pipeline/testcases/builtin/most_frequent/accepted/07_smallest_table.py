input()
c = [0] * 51
for x in map(int, input().split()):
    c[x] += 1
print(c.index(max(c)))
