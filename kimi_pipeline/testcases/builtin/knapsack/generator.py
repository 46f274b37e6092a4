from cyaron import *
if STRATUM == "small":
    n, W = randint(1, 5), randint(1, 12); t = [(randint(1, 8), randint(1, 9)) for _ in range(n)]
elif STRATUM == "random":
    n, W = randint(1, 30), randint(1, 500); t = Vector.random_repeatable_vector(n, [(1, choice([30, 200])), (1, 1000)])
elif STRATUM == "extreme":
    k = NUMBER // 4
    n, W, t = [(30, 500, [(500, 1000)] * 30), (30, 500, [(1, 1000 - k)] * 30), (30, 1, [(2, 5)] * 30), (30, 500, [(17 + i % 3, 100 + i) for i in range(30)])][NUMBER % 4]
    W -= k if W > 1 else 0
    if NUMBER >= 4 and W == 1: t = [(1, NUMBER)] + t[1:]
else:
    W = randint(50, 120) if NUMBER % 2 else randint(10, 50) * 2
    half = W // 2
    t = [(half + 1, half * 3 + randint(0, 9)), (half, half * 2), (W - half, (W - half) * 2)] + [(half // 2 + 1, half) for _ in range(4)] + [(1, 1)]
    n = len(t)
print(n, W)
for w, v in t: print(w, v)
