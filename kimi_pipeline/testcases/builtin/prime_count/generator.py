from cyaron import *
primes = [p for p in range(2, 3001) if all(p % q for q in range(2, int(p ** 0.5) + 1))]
if STRATUM == "small":
    a = randint(1, 12); b = randint(a, 30)
elif STRATUM == "random":
    a, b = sorted(randint(1, 3000) for _ in range(2))
elif STRATUM == "extreme":
    a, b = [(1, 3000), (1, 1), (3000, 3000), (2, 2), (1, 2), (2999, 3000), (2, 2999), (1, 2999)][NUMBER % 8]
    if NUMBER >= 8: a, b = 1, 3000 - NUMBER
else:
    p = choice(primes)
    a, b = [(p, p), (1, p), (p, 3000), (p * p, p * p + 1) if p < 54 else (25, p)][NUMBER % 4]
    a, b = min(a, b), max(a, b)
print(a, b)
