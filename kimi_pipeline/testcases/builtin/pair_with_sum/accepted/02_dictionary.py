n, s = map(int, input().split())
seen = {}
for j, x in enumerate(map(int, input().split()), 1):
    if s - x in seen:
        print(seen[s - x], j)
        break
    seen[x] = j
