import sys
n, *v = map(int, sys.stdin.read().split())
xs, ys = v[::2], v[1::2]
s = 0
for i in range(n):
    j = (i + 1) % n
    s += (xs[j] - xs[i]) * (ys[i] + ys[j])
print(abs(s))
