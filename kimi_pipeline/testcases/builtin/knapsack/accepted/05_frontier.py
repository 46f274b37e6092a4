n, W = map(int, input().split())
front = [(0, 0)]
for _ in range(n):
    w, v = map(int, input().split())
    both = sorted(front + [(a + w, b + v) for a, b in front if a + w <= W], key=lambda q: (q[0], -q[1]))
    front, top = [], -1
    for a, b in both:
        if b > top:
            front.append((a, b))
            top = b
print(front[-1][1])
