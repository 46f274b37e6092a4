n = int(input())
a = list(map(int, input().split()))
d = [0] * n
for i in sorted(range(n), key=lambda i: (a[i], -i)):
    d[i] = 1 + max(d[:i], default=0)
print(max(d))
