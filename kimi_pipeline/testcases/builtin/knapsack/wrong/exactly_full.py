n, W = map(int, input().split())
d = [0] + [-10**9] * W
for _ in range(n):
    w, v = map(int, input().split())
    for c in range(W, w - 1, -1):
        d[c] = max(d[c], d[c - w] + v)
print(max(0, d[W]))
