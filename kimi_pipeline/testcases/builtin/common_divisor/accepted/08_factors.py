def factor(n):
    f, p = {}, 2
    while p * p <= n:
        while n % p == 0:
            f[p] = f.get(p, 0) + 1
            n //= p
        p += 1
    if n > 1: f[n] = f.get(n, 0) + 1
    return f
input()
fs = [factor(int(x)) for x in set(input().split())]
g = 1
for p in fs[0]:
    g *= p ** min(f.get(p, 0) for f in fs)
print(g)
