n = int(input())
p = [tuple(map(int, input().split())) for _ in range(n)]
best = None
for i in range(n):
    for j in range(i + 1, n):
        d = (p[i][0] - p[j][0]) ** 2 + (p[i][1] - p[j][1]) ** 2
        if best is None or d < best:
            best = d
print("%.9f" % best ** 0.5)
