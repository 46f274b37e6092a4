n = int(input())
a = list(map(int, input().split()))
rank = {v: i + 1 for i, v in enumerate(sorted(set(a)))}
t = [0] * (len(rank) + 1)
c = 0
for seen, v in enumerate(a):
    i = rank[v]
    below = 0
    k = i
    while k:
        below += t[k]
        k &= k - 1
    c += seen - below
    while i < len(t):
        t[i] += 1
        i += i & -i
print(c)
