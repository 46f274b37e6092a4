n, W = map(int, input().split())
t = sorted((tuple(map(int, input().split())) for _ in range(n)), key=lambda q: -q[1] / q[0])
best = 0
def bound(i, room):
    s = 0
    for w, v in t[i:]:
        if w > room:
            return s + v * room / w
        room -= w
        s += v
    return s
def go(i, room, value):
    global best
    best = max(best, value)
    if i == n or value + bound(i, room) <= best + 1e-9:
        return
    if t[i][0] <= room:
        go(i + 1, room - t[i][0], value + t[i][1])
    go(i + 1, room, value)
go(0, W, 0)
print(best)
