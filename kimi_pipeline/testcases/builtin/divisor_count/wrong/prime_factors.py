n = int(input())
c, p = 0, 2
while n > 1:
    if n % p == 0:
        n //= p
        c += 1
    else:
        p += 1
print(c)
