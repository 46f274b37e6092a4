d = best = 0
for c in input():
    best = max(best, d)
    d += 1 if c == "(" else -1
print(best - 1)
