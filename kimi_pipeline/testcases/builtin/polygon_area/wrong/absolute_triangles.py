n = int(input())
p = [tuple(map(int, input().split())) for _ in range(n)]
o = p[0]
print(sum(abs((a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])) for a, b in zip(p[1:], p[2:])))
