from cyaron import *
n = {"small": randint(2, 6), "random": randint(2, 200), "extreme": 200 - NUMBER, "adversarial": randint(10, 50)}[STRATUM]
top = 1000 if STRATUM == "extreme" else choice([5, 1000])
a = [randint(-top, top) for _ in range(n)]
i, j = randint(0, n - 2), n - 1
print(n, a[i] + a[j])
print(*a)
