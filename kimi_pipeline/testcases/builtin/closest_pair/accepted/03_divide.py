n = int(input())
p = sorted(tuple(map(int, input().split())) for _ in range(n))
def sq(a, b):
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
def solve(p):
    if len(p) <= 3:
        return min((sq(a, b) for i, a in enumerate(p) for b in p[:i]), default=1 << 60)
    m = len(p) // 2
    x = p[m][0]
    d = min(solve(p[:m]), solve(p[m:]))
    strip = sorted((q for q in p if (q[0] - x) ** 2 < d), key=lambda q: q[1])
    for i, a in enumerate(strip):
        for b in strip[i + 1:]:
            if (b[1] - a[1]) ** 2 >= d:
                break
            d = min(d, sq(a, b))
    return d
print(f"{solve(p) ** 0.5:.8f}")
