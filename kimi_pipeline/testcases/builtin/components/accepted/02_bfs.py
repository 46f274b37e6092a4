from collections import deque
n, m = map(int, input().split())
near = {u: set() for u in range(1, n + 1)}
for _ in range(m):
    u, v = map(int, input().split())
    near[u].add(v); near[v].add(u)
left = set(near)
c = 0
while left:
    q = deque([left.pop()])
    c += 1
    while q:
        for v in near[q.popleft()] & left:
            left.discard(v)
            q.append(v)
print(c)
