n = int(input())
p = [tuple(map(int, input().split())) for _ in range(n)]
xs, ys = zip(*p)
print(2 * (max(xs) - min(xs)) * (max(ys) - min(ys)))
