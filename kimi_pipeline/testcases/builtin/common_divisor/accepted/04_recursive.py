def gcd(a, b):
    return a if b == 0 else gcd(b, a % b)
n = int(input())
a = list(map(int, input().split()))
g = a[0]
for x in a[1:]:
    g = gcd(g, x)
print(g)
