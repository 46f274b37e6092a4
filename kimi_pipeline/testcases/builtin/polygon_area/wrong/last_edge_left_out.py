n = int(input())
p = [tuple(map(int, input().split())) for _ in range(n)]
print(abs(sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(p, p[1:]))))
