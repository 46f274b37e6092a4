n, s = map(int, input().split())
a = sorted((int(x), i) for i, x in enumerate(input().split(), 1))
l, r = 0, n - 1
while a[l][0] + a[r][0] != s:
    if a[l][0] + a[r][0] < s:
        l += 1
    else:
        r -= 1
print(a[l][1], a[r][1])
