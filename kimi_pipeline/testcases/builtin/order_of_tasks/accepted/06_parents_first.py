n, m = map(int, input().split())
before = [[] for _ in range(n + 1)]
for _ in range(m):
    u, v = map(int, input().split())
    before[v].append(u)
out = []
def put(v):
    if v not in out:
        for u in before[v]:
            put(u)
        out.append(v)
for v in range(n, 0, -1):
    put(v)
print(*out)
