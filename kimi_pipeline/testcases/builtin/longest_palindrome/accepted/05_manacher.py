t = "^#" + "#".join(input()) + "#$"
p = [0] * len(t)
c = r = 0
for i in range(1, len(t) - 1):
    if i < r:
        p[i] = min(r - i, p[2 * c - i])
    while t[i + p[i] + 1] == t[i - p[i] - 1]:
        p[i] += 1
    if i + p[i] > r:
        c, r = i, i + p[i]
print(max(p))
