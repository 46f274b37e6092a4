d = best = 0
for c in reversed(input().strip()):
    d += 1 if c == ")" else -1
    if d > best:
        best = d
print(best)
