n = int(input())
p = [tuple(map(int, input().split())) for _ in range(n)]
ox, oy = p[0]
s = 0
for (ax, ay), (bx, by) in zip(p[1:], p[2:]):
    s += (ax - ox) * (by - oy) - (ay - oy) * (bx - ox)
print(s if s > 0 else -s)
