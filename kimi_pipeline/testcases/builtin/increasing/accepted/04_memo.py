import sys
from functools import lru_cache
sys.setrecursionlimit(10000)
n = int(input())
a = list(map(int, input().split())) + [float("inf")]
@lru_cache(None)
def f(i):
    return 1 + max([f(j) for j in range(i) if a[j] < a[i]], default=0)
print(f(n) - 1)
