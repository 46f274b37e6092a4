n = int(input())
p = [list(map(int, input().split())) for _ in range(n)]
print(abs(sum(p[i][0] * (p[(i + 1) % n][1] - p[i - 1][1]) for i in range(n))))
