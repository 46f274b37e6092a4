n, m = map(int, input().split())
need = {v: set() for v in range(1, n + 1)}
for _ in range(m):
    u, v = map(int, input().split())
    need[v].add(u)
out = []
while need:
    ready = [v for v in need if not need[v] & need.keys()]
    out += ready
    for v in ready:
        del need[v]
print(*out)
