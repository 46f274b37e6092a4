n = int(input())
INF = 1000
d = [[INF * (i != j) for j in range(n)] for i in range(n)]
for _ in range(n - 1):
    u, v = map(int, input().split())
    d[u - 1][v - 1] = d[v - 1][u - 1] = 1
for k in range(n):
    dk = d[k]
    for i in range(n):
        x = d[i][k]
        d[i] = [a if a < x + b else x + b for a, b in zip(d[i], dk)]
print(sum(d[i][j] for i in range(n) for j in range(i)))
