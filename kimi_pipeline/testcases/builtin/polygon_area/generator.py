from cyaron import *
import math
def star(n, r):
    angles = sorted(randint(0, 359999) for _ in range(3 * n))
    pts = []
    for a in angles:
        k = uniform(0.3, 1); p = (int(r * k * math.cos(a * math.pi / 180000)), int(r * k * math.sin(a * math.pi / 180000)))
        if p not in pts and p != (0, 0): pts.append(p)
    pts = list({round(math.atan2(y, x), 4): (x, y) for x, y in pts}.values())
    while len(pts) > n: pts.pop(randint(0, len(pts) - 1))
    return sorted(pts, key=lambda p: math.atan2(p[1], p[0]))
def steps(n, w, h):
    top = [(i * w, (i // 2 % 2) * h + h) for i in range(n)]
    return [(0, 0)] + top + [((n - 1) * w, 0)]
if STRATUM == "small":
    x, y, w, h = randint(-5, 5), randint(-5, 5), randint(1, 6), randint(1, 6)
    p = [(x, y), (x + w, y), (x + w, y + h)] if NUMBER % 2 else [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
elif STRATUM == "random":
    hull = Polygon.convex_hull(randint(5, 60), fx=lambda x: int(x * 2000 - 1000), fy=lambda y: int(y * 2000 - 1000))
    p = [(int(x), int(y)) for x, y in hull.points]
elif STRATUM == "extreme":
    M = 10**6
    p = [[(-M, -M), (M, -M), (M, M), (-M, M)], [(-M, -M), (M, -M), (M, M)], [(-M, M), (M, M), (0, -M)], steps(58, 17000, 400000)][NUMBER % 4]
    p = [(x - (NUMBER // 4 if x > 0 else 0), y) for x, y in p]
else:
    p = steps(randint(4, 40), randint(1, 9), randint(1, 9))
    dx, dy = randint(-500, 500), randint(-500, 500); p = [(x + dx, y + dy) for x, y in p]
if NUMBER % 2: p = p[::-1]
k = randint(0, len(p) - 1); p = p[k:] + p[:k]
print(len(p))
for x, y in p: print(x, y)
