def gcd(a, b):
    shift = 0
    while (a | b) % 2 == 0:
        a, b, shift = a >> 1, b >> 1, shift + 1
    while a % 2 == 0: a >>= 1
    while b:
        while b % 2 == 0: b >>= 1
        if a > b: a, b = b, a
        b -= a
    return a << shift
input()
v = list(map(int, input().split()))
g = v[0]
for x in v: g = gcd(g, x)
print(g)
