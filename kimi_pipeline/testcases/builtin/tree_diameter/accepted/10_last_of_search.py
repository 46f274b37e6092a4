n = int(input())
edges = [tuple(map(int, input().split())) for _ in range(n - 1)]
def levels(s):
    depth = {s: 0}
    changed = True
    while changed:
        changed = False
        for u, v in edges:
            if u in depth and v not in depth:
                depth[v] = depth[u] + 1; changed = True
            elif v in depth and u not in depth:
                depth[u] = depth[v] + 1; changed = True
    return depth
first = levels(1)
end = max(first, key=first.get)
print(max(levels(end).values()))
