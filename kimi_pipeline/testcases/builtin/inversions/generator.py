from cyaron import *
if STRATUM == "small":
    n = randint(1, 6); a = [randint(1, 4) for _ in range(n)]
elif STRATUM == "random":
    n = randint(1, 400); top = choice([3, 50, 10**9]); a = [randint(1, top) for _ in range(n)]
elif STRATUM == "extreme":
    n = 400; a = list(range(1, n + 1))
    if NUMBER % 3 == 0: a.reverse()
    elif NUMBER % 3 == 1: a = [10**9 - i for i in range(n)]
    else: a = [10**9] * n
    if NUMBER >= 3: a[randint(0, n - 1)] = randint(1, 10**9)
else:
    n = randint(5, 100); a = sorted(randint(1, 20) for _ in range(n))
    if NUMBER % 2: a.reverse()
    a = a + a; n *= 2
print(n)
print(*a)
