def solve(l, r):
    if r - l == 1:
        return a[l]
    m = (l + r) // 2
    s, left = 0, -10**18
    for i in range(m - 1, l - 1, -1):
        s += a[i]
        left = max(left, s)
    s, right = 0, -10**18
    for i in range(m, r):
        s += a[i]
        right = max(right, s)
    return max(solve(l, m), solve(m, r), left + right)
n = int(input())
a = list(map(int, input().split()))
print(solve(0, n))
