n = int(input())
p = list({tuple(map(int, input().split())) for _ in range(n)})
print(min((((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5 for i, a in enumerate(p) for b in p[:i]), default=0))
