n = int(input())
a = list(map(int, input().split()))
rank = {v: i + 1 for i, v in enumerate(sorted(set(a)))}
t = [0] * (n + 2)
best = 0
for x in a:
    i, m = rank[x] - 1, 0
    while i > 0:
        m = max(m, t[i])
        i -= i & -i
    m += 1
    best = max(best, m)
    i = rank[x]
    while i <= n:
        t[i] = max(t[i], m)
        i += i & -i
print(best)
