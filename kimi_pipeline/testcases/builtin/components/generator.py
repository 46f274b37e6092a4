from cyaron import *
if STRATUM == "small":
    n = randint(1, 6); edges = [(randint(1, n), randint(1, n)) for _ in range(randint(0, 6))]
elif STRATUM == "random":
    n = randint(2, 100); m = randint(0, min(200, n * (n - 1) // 2)); edges = [(e.start, e.end) for e in Graph.graph(n, m, self_loop=False, repeated_edges=False).iterate_edges()]
elif STRATUM == "extreme":
    n = 100
    kind = NUMBER % 4
    if kind == 0: edges = []
    elif kind == 1: edges = [(e.start, e.end) for e in Graph.chain(n).iterate_edges()]
    elif kind == 2: edges = [(e.start, e.end) for e in Graph.flower(n).iterate_edges()]
    else: edges = [(randint(1, n), randint(1, n)) for _ in range(200)]
    edges = edges[:len(edges) - NUMBER // 4]
    if kind == 0: n -= NUMBER // 4
else:
    n = randint(10, 100); order = list(range(1, n + 1)); shuffle = [v[0] for v in Vector.random_unique_vector(n, [n * 50])]
    order = [v for _, v in sorted(zip(shuffle, order))]
    edges = [(order[i + 1], order[i]) for i in range(n - 1) if randint(0, 9)]
    edges = edges[::-1] + edges[:20] + [(n, n)]
print(n, len(edges))
for u, v in edges: print(u, v)
