n, m = map(int, input().split())
edges = [tuple(map(int, input().split())) for _ in range(m)]
vertices = n
while edges:
    u, v = edges.pop()
    if u == v:
        continue
    vertices -= 1
    edges = [(v if a == u else a, v if b == u else b) for a, b in edges]
print(vertices)
