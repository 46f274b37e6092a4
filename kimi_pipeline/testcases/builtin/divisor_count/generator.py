from cyaron import *
if STRATUM == "small":
    n = NUMBER + 1
elif STRATUM == "random":
    n = randint(1, 200000)
elif STRATUM == "extreme":
    n = [200000, 199999, 199998, 1, 131072, 196560, 166320, 199809, 177147, 65536][NUMBER % 10] - NUMBER // 10
else:
    p = choice([2, 3, 5, 7, 11, 13, 101, 199, 439, 443])
    n = [p ** 2, p * 2, p ** 2 * 1, p * 211][NUMBER % 4]
    while n * p <= 200000 and randint(0, 2): n *= p
print(n)
