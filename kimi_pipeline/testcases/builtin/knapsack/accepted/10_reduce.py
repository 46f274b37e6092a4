from functools import reduce
n, W = map(int, input().split())
things = [tuple(int(x) for x in input().split()) for _ in range(n)]
def add(row, thing):
    w, v = thing
    return [row[c] if c < w else max(row[c], row[c - w] + v) for c in range(W + 1)]
print(reduce(add, things, [0] * (W + 1))[-1])
