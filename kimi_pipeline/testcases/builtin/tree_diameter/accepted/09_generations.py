n = int(input())
near = [0] * n
for _ in range(n - 1):
    u, v = map(int, input().split())
    near[u - 1] |= 1 << v - 1
    near[v - 1] |= 1 << u - 1
ball = [1 << i for i in range(n)]
full = (1 << n) - 1
r = 0
while any(b != full for b in ball):
    r += 1
    grown = []
    for i in range(n):
        b = ball[i]
        for j in range(n):
            if near[i] >> j & 1:
                b |= ball[j]
        grown.append(b)
    ball = grown
print(r)
