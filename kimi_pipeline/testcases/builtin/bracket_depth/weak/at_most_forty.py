d = best = 0
for c in input():
    d += 1 if c == "(" else -1
    best = max(best, d)
print(min(best, 40))
