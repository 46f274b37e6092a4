from cyaron import *
def rnd(n, m, top): return [(randint(1, n), randint(1, n), randint(0, top)) for _ in range(m)]
if STRATUM == "small":
    n = randint(2, 5); e = rnd(n, randint(1, 8), 5)
elif STRATUM == "random":
    n = randint(2, 50); g = Graph.graph(n, randint(1, min(200, n * (n - 1) // 2)), directed=True, self_loop=False, repeated_edges=False, weight_limit=(0, 1000))
    e = [(x.start, x.end, x.weight) for x in g.iterate_edges()]
elif STRATUM == "extreme":
    n = 50
    e = [[(i, i + 1, 10**6) for i in range(1, n)], [(1, n, 10**6)], rnd(n, 200, 10**6), [(1, n, 0)] * 200, [(i + 1, i, 1) for i in range(1, n)]][NUMBER % 5]
    e = e + rnd(n, NUMBER // 5, 10**6); e = e[:200]
else:
    n = randint(6, 50)
    e = [(i, i + 1, randint(0, 3)) for i in range(1, n)] + [(1, n, 3 * n)] + [(i, i + 2, randint(2, 9)) for i in range(1, n - 1)]
    e += [(1, 2, 50), (n - 1, n, 60)]
    if NUMBER % 3 == 0: e = e[::-1]
    if NUMBER % 3 == 1: e = [(v, u, w) if randint(0, 3) == 0 else (u, v, w) for u, v, w in e]
print(n, len(e))
for x in e: print(*x)
