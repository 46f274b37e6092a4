input()
ends = {}
for x in map(int, input().split()):
    ends[x] = max(ends.get(x, 0), 1 + max((k for v, k in ends.items() if v < x), default=0))
print(max(ends.values()))
