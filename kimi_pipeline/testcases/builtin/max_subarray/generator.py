from cyaron import *
B = 10**9
if STRATUM == "small":
    n = randint(1, 5); a = [randint(-4, 4) for _ in range(n)]
elif STRATUM == "random":
    n = randint(1, 300); r = choice([10, 1000, B]); a = [v[0] for v in Vector.random_repeatable_vector(n, [(-r, r)])]
elif STRATUM == "extreme":
    n = 300; a = [[B] * n, [-B] * n, [(-1)**i * B for i in range(n)], [B] * 150 + [-B] * 150, [0] * n][NUMBER % 5]
    if NUMBER >= 5: a[randint(0, n - 1)] = randint(-B, B)
else:
    n = randint(2, 40)
    if NUMBER % 2: a = [randint(-50, -1) for _ in range(n)]
    else: a = [randint(50, 100)] + [-randint(1, 20) for _ in range(n)] + [randint(30, 120)] + [-5]; n = len(a)
print(n)
print(*a)
