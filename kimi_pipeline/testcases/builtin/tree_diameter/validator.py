n, = ints(1, 1, 100)
parent = list(range(n + 1))
def find(x):
    while parent[x] != x:
        x = parent[x]
    return x
for _ in range(n - 1):
    u, v = ints(2, 1, n)
    check(find(u) != find(v))
    parent[find(u)] = find(v)
end()
