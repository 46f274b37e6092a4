n = int(input())
edges = [tuple(map(int, input().split())) for _ in range(n - 1)]
total = 0
for cut in edges:
    p = list(range(n + 1))
    def find(x):
        while p[x] != x:
            p[x] = p[p[x]]
            x = p[x]
        return x
    for e in edges:
        if e is not cut:
            p[find(e[0])] = find(e[1])
    k = sum(find(u) == find(cut[0]) for u in range(1, n + 1))
    total += k * (n - k)
print(total)
