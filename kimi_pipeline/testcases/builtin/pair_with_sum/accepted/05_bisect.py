from bisect import bisect_left
n, s = map(int, input().split())
a = list(map(int, input().split()))
order = sorted(range(n), key=lambda i: a[i])
vals = [a[i] for i in order]
for k in range(n):
    m = bisect_left(vals, s - vals[k], k + 1)
    if m < n and vals[m] == s - vals[k]:
        print(order[k] + 1, order[m] + 1)
        break
