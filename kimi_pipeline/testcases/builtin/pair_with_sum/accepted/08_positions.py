n, s = map(int, input().split())
at = {}
for i, x in enumerate(map(int, input().split()), 1):
    at.setdefault(x, []).append(i)
for x in sorted(at):
    y = s - x
    if y in at and (x != y or len(at[x]) > 1):
        print(at[x][0], at[y][-1])
        break
