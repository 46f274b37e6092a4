s = input()
n = len(s)
d = [[0] * n for _ in range(n)]
for i in range(n - 1, -1, -1):
    d[i][i] = 1
    for j in range(i + 1, n):
        d[i][j] = (d[i + 1][j - 1] if j > i + 1 else 0) + 2 if s[i] == s[j] else max(d[i + 1][j], d[i][j - 1])
print(d[0][-1])
