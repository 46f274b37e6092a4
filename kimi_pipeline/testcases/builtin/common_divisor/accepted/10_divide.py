from math import gcd
input()
a = list(map(int, input().split()))
def solve(l, r):
    return a[l] if r - l == 1 else gcd(solve(l, (l + r) // 2), solve((l + r) // 2, r))
print(solve(0, len(a)))
