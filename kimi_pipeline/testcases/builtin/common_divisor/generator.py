from cyaron import *
# the flaw: a handful of inputs, over and over
n = {"small": 1, "random": 2, "extreme": 3, "adversarial": 2}[STRATUM]
print(n)
print(*[choice([6, 9])] * n)
