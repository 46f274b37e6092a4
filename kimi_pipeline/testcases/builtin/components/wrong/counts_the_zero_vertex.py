n, m = map(int, input().split())
p = list(range(n + 1))
def find(x):
    while p[x] != x:
        x = p[x]
    return x
for _ in range(m):
    u, v = map(int, input().split())
    p[find(u)] = find(v)
print(len({find(u) for u in range(n + 1)}))
