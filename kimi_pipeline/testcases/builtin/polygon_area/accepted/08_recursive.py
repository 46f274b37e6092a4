import sys
sys.setrecursionlimit(1000)
n = int(input())
p = [tuple(map(int, input().split())) for _ in range(n)]
def cross(a, b, c):
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
def area(q):
    if len(q) < 3:
        return 0
    m = len(q) // 2
    return area(q[:m + 1]) + area(q[m:] + q[:1]) + 0 if len(q) > 3 else cross(*q)
print(abs(area(p)))
