s = input()
n = len(s)
best = 1
row = [0] * (n + 1)
r = s[::-1]
for i in range(n):
    new = [0] * (n + 1)
    for j in range(n):
        if s[i] == r[j]:
            new[j + 1] = row[j] + 1
            k = new[j + 1]
            if i - k + 1 == n - 1 - j:
                best = max(best, k)
    row = new
print(best)
