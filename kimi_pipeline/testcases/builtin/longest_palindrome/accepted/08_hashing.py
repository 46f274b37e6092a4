s = input()
n, B, M = len(s), 911, (1 << 61) - 1
h, g, p = [0], [0], [1]
for x, y in zip(s, s[::-1]):
    h.append((h[-1] * B + ord(x)) % M)
    g.append((g[-1] * B + ord(y)) % M)
    p.append(p[-1] * B % M)
def cut(t, i, j):
    return (t[j] - t[i] * p[j - i]) % M
best = 1
for i in range(n):
    for j in range(i + best + 1, n + 1):
        if cut(h, i, j) == cut(g, n - j, n - i):
            best = j - i
print(best)
