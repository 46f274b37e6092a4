from bisect import bisect_left, bisect_right
a, b = map(int, input().split())
ps = []
for n in range(2, 3001):
    for p in ps:
        if p * p > n:
            ps.append(n)
            break
        if n % p == 0:
            break
    else:
        ps.append(n)
print(bisect_right(ps, b) - bisect_left(ps, a))
