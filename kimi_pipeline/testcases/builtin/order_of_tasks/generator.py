from cyaron import *
n = {"small": randint(1, 6), "random": randint(2, 50), "extreme": 50, "adversarial": randint(20, 50)}[STRATUM]
m = {"small": randint(0, 6), "random": randint(0, 100), "extreme": [0, 150, 49, 100][NUMBER % 4], "adversarial": n // 3}[STRATUM]
order = list(range(1, n + 1)); order = [v for _, v in sorted((randint(0, 999), v) for v in order)]
e = []
for _ in range(m if n > 1 else 0):
    i, j = sorted((randint(0, n - 1), randint(0, n - 1)))
    if i != j: e.append((order[i], order[j]))
print(n, len(e))
for u, v in e: print(u, v)
