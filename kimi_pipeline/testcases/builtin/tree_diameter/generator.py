from cyaron import *
if STRATUM == "small":
    n = randint(1, 7); t = Graph.tree(n)
elif STRATUM == "random":
    n = randint(1, 100); t = Graph.tree(n)
elif STRATUM == "extreme":
    n = 100 - NUMBER // 4; t = [Graph.chain(n), Graph.flower(n), Graph.binary_tree(n), Graph.tree(n, 0.9, 0)][NUMBER % 4]
else:
    n = randint(10, 100); t = Graph.tree(n, 0.5, 0.4) if NUMBER % 2 else Graph.tree(n, 0.8, 0.1)
print(n)
if n > 1: print(t.to_str(output=Edge.unweighted_edge, shuffle=True))
