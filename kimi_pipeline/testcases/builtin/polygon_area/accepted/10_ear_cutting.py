n = int(input())
p = [tuple(map(int, input().split())) for _ in range(n)]
s = 0
while len(p) > 2:
    a, b, c = p[-2], p[-1], p[0]
    s += (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    p.pop()
print(abs(s))
