from cyaron import *
M = 10**6
if STRATUM == "small":
    p = Vector.random_repeatable_vector(randint(2, 5), [(-5, 5), (-5, 5)])
elif STRATUM == "random":
    r = choice([30, 1000, M]); p = Vector.random_repeatable_vector(randint(2, 100), [(-r, r), (-r, r)])
elif STRATUM == "extreme":
    k = NUMBER // 4
    p = [[(-M, -M), (M - k, M)], [(7 * i * i + k, i) for i in range(100)], Vector.random_unique_vector(100, [(-M, M), (-M, M)]), [(0, 20000 * i - M + k * i) for i in range(100)]][NUMBER % 4]
else:
    n = randint(10, 90); base = [(i * 1000, randint(-M, M)) for i in range(n)]
    x, y = base[randint(0, n - 1)]; d = randint(1, 300)
    p = base + [(x + d, y + d)] if NUMBER % 2 else [(randint(-M, M), i * 1000) for i in range(n)] + [(-M, M - 1), (M, M)]
    if NUMBER % 3 == 2:
        p = [(i % 2, randint(-M, M)) for i in range(n)]; p[1] = (1, p[0][1])
    elif NUMBER % 3 == 1: p = base + [base[0]]
    keys = [(randint(0, M), v) for v in p]; p = [v for _, v in sorted(keys)]
print(len(p))
for x, y in p: print(x, y)
