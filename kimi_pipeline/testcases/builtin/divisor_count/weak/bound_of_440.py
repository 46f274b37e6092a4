n = int(input())
c = 0
for d in range(1, 441):
    if d * d < n and n % d == 0:
        c += 2
    elif d * d == n:
        c += 1
print(c)
