from cyaron import *
if STRATUM == "small":
    a = [randint(1, 5) for _ in range(randint(1, 7))]
elif STRATUM == "random":
    top = choice([5, 100, 10**9]); a = [randint(-top, top) for _ in range(randint(1, 150))]
elif STRATUM == "extreme":
    n = 150 - NUMBER // 4
    a = [list(range(n)), list(range(n, 0, -1)), [7] * n, [10**9 - (i * 37 % n) for i in range(n)]][NUMBER % 4]
else:
    k = randint(3, 11)
    a = [b * k - j for b in range(k) for j in range(k)] if NUMBER % 2 else [j * k - b for b in range(k) for j in range(k)]
    a = [10**9] + a + [-10**9] + a[:5] * 1
print(len(a))
print(*a)
