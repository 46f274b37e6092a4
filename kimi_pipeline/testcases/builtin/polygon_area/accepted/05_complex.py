n = int(input())
re, im = [], []
for _ in range(n):
    a, b = map(int, input().split())
    re.append(a)
    im.append(b)
total = 0
a, b = re[-1], im[-1]
for c, d in zip(re, im):
    total += a * d - b * c
    a, b = c, d
print(abs(total))
