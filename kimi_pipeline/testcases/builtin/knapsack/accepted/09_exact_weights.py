n, W = map(int, input().split())
d = [None] * (W + 1)
d[0] = 0
for _ in range(n):
    w, v = map(int, input().split())
    for c in range(W - w, -1, -1):
        if d[c] is not None:
            cand = d[c] + v
            if d[c + w] is None or d[c + w] < cand:
                d[c + w] = cand
print(max(x for x in d if x is not None))
