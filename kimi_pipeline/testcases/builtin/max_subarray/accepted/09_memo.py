import sys
from functools import lru_cache
sys.setrecursionlimit(10000)
n = int(input())
a = tuple(map(int, input().split()))
@lru_cache(None)
def f(i):
    return a[i] if i == 0 else max(a[i], f(i - 1) + a[i])
print(max(f(i) for i in range(n)))
