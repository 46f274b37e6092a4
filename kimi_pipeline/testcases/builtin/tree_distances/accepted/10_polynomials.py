import sys
sys.setrecursionlimit(5000)
n = int(input())
g = [[] for _ in range(n + 1)]
for _ in range(n - 1):
    u, v = map(int, input().split())
    g[u].append(v)
    g[v].append(u)
ans = 0
def depths(u, p):
    global ans
    count, total = 1, 0
    for v in g[u]:
        if v == p:
            continue
        c, t = depths(v, u)
        t += c
        ans += total * c + t * count
        count += c
        total += t
    return count, total
depths(1, 0)
print(ans)
