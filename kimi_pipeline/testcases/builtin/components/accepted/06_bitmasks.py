import sys
n, m, *e = map(int, sys.stdin.read().split())
reach = [1 << i for i in range(n)]
for u, v in zip(e[::2], e[1::2]):
    reach[u - 1] |= 1 << v - 1
    reach[v - 1] |= 1 << u - 1
for k in range(n):
    for i in range(n):
        if reach[i] >> k & 1:
            reach[i] |= reach[k]
print(len(set(reach)))
