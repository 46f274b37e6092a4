n = int(input())
near = [[] for _ in range(n)]
for _ in range(n - 1):
    u, v = (int(x) - 1 for x in input().split())
    near[u].append(v)
    near[v].append(u)
ball = [1 << i for i in range(n)]
total = 0
while True:
    missing = sum(n - bin(b).count("1") for b in ball)
    if not missing:
        break
    total += missing
    old = ball[:]
    for i in range(n):
        for j in near[i]:
            ball[i] |= old[j]
print(total // 2)
