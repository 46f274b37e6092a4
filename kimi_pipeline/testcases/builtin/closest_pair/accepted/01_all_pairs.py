from math import hypot
n = int(input())
p = [tuple(map(int, input().split())) for _ in range(n)]
print(min(hypot(a[0] - b[0], a[1] - b[1]) for i, a in enumerate(p) for b in p[:i]))
