n, W = map(int, input().split())
t = sorted((tuple(map(int, input().split())) for _ in range(n)), key=lambda q: -q[1])
s = 0
for w, v in t:
    if w <= W:
        W -= w
        s += v
print(s)
