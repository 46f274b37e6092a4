n = int(input())
d = [[0 if i == j else 999 for j in range(n)] for i in range(n)]
for _ in range(n - 1):
    u, v = map(int, input().split())
    d[u - 1][v - 1] = d[v - 1][u - 1] = 1
for k in range(n):
    for i in range(n):
        x = d[i][k]
        d[i] = [min(a, x + b) for a, b in zip(d[i], d[k])]
print(max(map(max, d)))
