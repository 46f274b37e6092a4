n = int(input())
a = list(map(int, input().split()))
d = []
for i in range(n):
    d.append(1 + max((d[j] for j in range(i) if a[j] < a[i]), default=0))
print(max(d))
