import bisect
n = int(input())
seen = [0]
total = 0
best = None
for x in map(int, input().split()):
    total += x
    gain = total - seen[0]
    best = gain if best is None or gain > best else best
    bisect.insort(seen, total)
print(best)
