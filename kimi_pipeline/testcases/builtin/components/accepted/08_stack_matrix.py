n, m = [int(x) for x in input().split()]
near = [[False] * n for _ in range(n)]
for _ in range(m):
    u, v = [int(x) - 1 for x in input().split()]
    near[u][v] = near[v][u] = True
done = [False] * n
answer = 0
for s in range(n):
    if done[s]:
        continue
    answer += 1
    stack = [s]
    while stack:
        u = stack.pop()
        if done[u]:
            continue
        done[u] = True
        stack.extend(v for v in range(n) if near[u][v] and not done[v])
print(answer)
