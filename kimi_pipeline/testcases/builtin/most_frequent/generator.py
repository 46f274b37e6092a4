from cyaron import *
k = {"small": 3, "random": randint(4, 9), "extreme": 25, "adversarial": randint(3, 12)}[STRATUM]
times = {"small": 1, "random": randint(2, 9), "extreme": 4, "adversarial": randint(2, 6)}[STRATUM]
vals = [v[0] for v in Vector.random_unique_vector(k, [(1, 50)])]
a = [v for _, v in sorted((randint(0, 10**6), v) for v in vals * times)]
print(len(a))
print(*a)
