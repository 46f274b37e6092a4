from itertools import combinations
p = [complex(*map(float, input().split())) for _ in range(int(input()))]
print(min(abs(a - b) for a, b in combinations(p, 2)))
