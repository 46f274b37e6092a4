d = 0
for c in input().strip():
    if c == "(":
        d += 1
print(d)
