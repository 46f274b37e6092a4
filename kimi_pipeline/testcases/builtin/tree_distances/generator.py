from cyaron import *
n = {"small": randint(1, 7), "random": randint(2, 100), "extreme": 100 - NUMBER // 4, "adversarial": randint(20, 100)}[STRATUM]
if STRATUM == "extreme": t = [Graph.chain(n), Graph.flower(n), Graph.binary_tree(n), Graph.tree(n)][NUMBER % 4]
elif STRATUM == "adversarial": t = Graph.tree(n, 0.3 + 0.1 * (NUMBER % 5), 0.2)
else: t = Graph.tree(n)
print(n)
if n > 1: print(t.to_str(output=Edge.unweighted_edge, shuffle=True))
