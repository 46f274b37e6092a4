n = int(input())
p = [tuple(map(int, input().split())) for _ in range(n)]
mx, my = min(x for x, _ in p), min(y for _, y in p)
q = [(x - mx, y - my) for x, y in p]
left = sum(a[0] * b[1] for a, b in zip(q, q[1:] + q[:1]))
right = sum(a[1] * b[0] for a, b in zip(q, q[1:] + q[:1]))
print(abs(left - right))
