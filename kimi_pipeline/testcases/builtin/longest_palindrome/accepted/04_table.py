s = input()
n = len(s)
ok = [[True] * n for _ in range(n)]
best = 1
for k in range(2, n + 1):
    for i in range(n - k + 1):
        j = i + k - 1
        ok[i][j] = s[i] == s[j] and (k == 2 or ok[i + 1][j - 1])
        if ok[i][j]:
            best = k
print(best)
