n = int(input())
p = sorted(tuple(map(int, input().split())) for _ in range(n))
best = float("inf")
for i in range(n):
    for j in range(i + 1, n):
        dx = p[j][0] - p[i][0]
        if dx >= best:
            break
        best = min(best, (dx * dx + (p[j][1] - p[i][1]) ** 2) ** 0.5)
print(best)
