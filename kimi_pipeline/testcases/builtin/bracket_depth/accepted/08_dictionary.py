step = {"(": 1, ")": -1}
level, seen = 0, {0}
for c in input().strip():
    level += step[c]
    seen.add(level)
print(max(seen))
