n = int(input())
c, p = 1, 2
while n > 1:
    if n % p == 0:
        c *= 2
        while n % p == 0:
            n //= p
    p += 1
print(c)
