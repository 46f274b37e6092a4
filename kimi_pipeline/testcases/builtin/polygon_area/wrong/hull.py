n = int(input())
p = sorted(tuple(map(int, input().split())) for _ in range(n))
def half(p):
    h = []
    for q in p:
        while len(h) > 1 and (h[-1][0] - h[-2][0]) * (q[1] - h[-2][1]) - (h[-1][1] - h[-2][1]) * (q[0] - h[-2][0]) <= 0:
            h.pop()
        h.append(q)
    return h[:-1]
h = half(p) + half(p[::-1])
print(abs(sum(h[i - 1][0] * h[i][1] - h[i][0] * h[i - 1][1] for i in range(len(h)))))
