from itertools import combinations
n, s = map(int, input().split())
a = list(enumerate(map(int, input().split()), 1))
i, j = max((i, j) for (i, x), (j, y) in combinations(a, 2) if x + y == s)
print(i, j)
