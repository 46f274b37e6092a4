s = input()
d, last = 1, {}
for c in s:
    d, last[c] = 2 * d - last.get(c, 0), d
print(d - 1)
