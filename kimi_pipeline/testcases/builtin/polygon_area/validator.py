n, = ints(1, 3, 60)
points = [tuple(ints(2, -10**6, 10**6)) for _ in range(n)]
check(len(set(points)) == n)
def turn(o, a, b):
    v = (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])
    return (v > 0) - (v < 0)
def on(a, b, p):
    return turn(a, b, p) == 0 and min(a[0], b[0]) <= p[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= p[1] <= max(a[1], b[1])
for i in range(n):
    a, b = points[i], points[(i + 1) % n]
    for j in range(i + 1, n):
        c, d = points[j], points[(j + 1) % n]
        if b == c or a == d:
            check(not (b == c and on(a, b, d)) and not (a == d and on(a, b, c)))
            continue
        check(not (turn(a, b, c) != turn(a, b, d) and turn(c, d, a) != turn(c, d, b)))
        check(not (on(a, b, c) or on(a, b, d) or on(c, d, a) or on(c, d, b)))
end()
