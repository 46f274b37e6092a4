n = int(input())
c, p = 1, 2
while n > 1:
    k = 0
    while n % p == 0:
        n //= p
        k += 1
    c *= k + 1
    p += 1
print(c)
