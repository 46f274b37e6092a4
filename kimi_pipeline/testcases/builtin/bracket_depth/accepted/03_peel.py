s = input()
k = 0
while s:
    k += 1
    out, d = [], 0
    for c in s:
        if c == "(":
            d += 1
            if d > 1: out.append(c)
        else:
            if d > 1: out.append(c)
            d -= 1
    s = "".join(out)
print(k)
