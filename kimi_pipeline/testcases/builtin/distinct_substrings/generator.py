from cyaron import *
if STRATUM == "small":
    s = String.random_regular("[ab]{1,6}")
elif STRATUM == "random":
    s = String.random((1, 80), charset=choice(["ab", "abcd", "abcdefghijklmnopqrstuvwxyz"]))
elif STRATUM == "extreme":
    n = 80 - NUMBER // 3
    s = ["a" * n, String.random(n, charset="ab"), ("abcdefghijklmnopqrstuvwxyz" * 4)[:n]][NUMBER % 3]
else:
    part = String.random((2, 12), charset="abc"); s = (part * 40)[:randint(20, 80)]
print(s)
