import sys
sys.setrecursionlimit(5000)
n = int(input())
g = [[] for _ in range(n + 1)]
for _ in range(n - 1):
    u, v = map(int, input().split())
    g[u].append(v)
    g[v].append(u)
total = 0
def size(u, p):
    global total
    s = 1
    for v in g[u]:
        if v != p:
            k = size(v, u)
            total += k * (n - k)
            s += k
    return s
size(1, 0)
print(total)
