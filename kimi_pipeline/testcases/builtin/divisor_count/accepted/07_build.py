n = int(input())
divisors = [1]
m, p = n, 2
while m > 1:
    if p * p > m:
        p = m
    if m % p == 0:
        base = divisors[:]
        q = 1
        while m % p == 0:
            m //= p
            q *= p
            divisors += [d * q for d in base]
    p += 1
print(len(divisors))
