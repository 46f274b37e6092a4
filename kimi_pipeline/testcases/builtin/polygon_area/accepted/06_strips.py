from fractions import Fraction
n = int(input())
p = [tuple(map(int, input().split())) for _ in range(n)]
xs = sorted({x for x, _ in p})
area = Fraction(0)
for l, r in zip(xs, xs[1:]):
    cuts = []
    for i in range(n):
        (a, b), (c, d) = sorted((p[i - 1], p[i]))
        if a <= l and c >= r:
            y = lambda x: Fraction(b) + Fraction((d - b) * (x - a), c - a)
            cuts.append((y(l) + y(r)))
    cuts.sort()
    area += sum(t - b for b, t in zip(cuts[::2], cuts[1::2])) * (r - l)
print(area)
