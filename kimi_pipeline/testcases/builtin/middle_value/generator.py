from cyaron import *
n = {"small": 2 * randint(1, 3), "random": randint(1, 50) * 2 - (NUMBER % 5 == 0), "extreme": 100, "adversarial": 2 * randint(5, 20)}[STRATUM]
top = 1000 if STRATUM != "small" else 9
a = [randint(-top, top) for _ in range(n)]
if STRATUM == "extreme": a[:50] = [-1000] * 50
print(n)
print(*a)
