from cyaron import *
if STRATUM == "small":
    s = String.random((1, 6), charset="ab")
elif STRATUM == "random":
    s = String.random((1, 150), charset=choice(["ab", "abc", "abcdefghijklmnopqrstuvwxyz"]))
elif STRATUM == "extreme":
    n = 150 - NUMBER // 4
    s = ["a" * n, "ab" * (n // 2), "a" * (n // 2) + "b" + "a" * (n // 2 - 1), String.random(n, charset="ab")][NUMBER % 4]
else:
    half = String.random((5, 40), charset="abc")
    core = half + half[::-1] if NUMBER % 2 else half + "z" + half[::-1]
    if NUMBER % 3 == 2: core = half + "xyz" + half[::-1]
    s = String.random((0, 20), charset="xyz") + core + String.random((0, 20), charset="xyz")
print(s)
