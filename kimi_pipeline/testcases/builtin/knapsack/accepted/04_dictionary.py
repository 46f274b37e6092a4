n, W = map(int, input().split())
reach = {0: 0}
for _ in range(n):
    w, v = map(int, input().split())
    new = dict(reach)
    for a, b in reach.items():
        if a + w <= W and new.get(a + w, -1) < b + v:
            new[a + w] = b + v
    reach = new
print(max(reach.values()))
