n = int(input())
xs, ys = zip(*(map(int, input().split()) for _ in range(n)))
def nearest(i):
    return min((xs[i] - xs[j]) ** 2 + (ys[i] - ys[j]) ** 2 for j in range(n) if j != i)
print(format(min(map(nearest, range(n))) ** 0.5, ".10f"))
