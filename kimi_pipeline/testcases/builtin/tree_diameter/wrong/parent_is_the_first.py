n = int(input())
d = {1: 0}
for _ in range(n - 1):
    u, v = map(int, input().split())
    d[v] = d.get(u, 0) + 1
a = sorted(d.values())
print(a[-1] + a[-2] if n > 1 else 0)
