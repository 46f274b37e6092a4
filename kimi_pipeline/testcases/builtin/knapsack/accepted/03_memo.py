from functools import lru_cache
n, W = map(int, input().split())
t = [tuple(map(int, input().split())) for _ in range(n)]
@lru_cache(None)
def best(i, room):
    if i == n:
        return 0
    w, v = t[i]
    skip = best(i + 1, room)
    return max(skip, v + best(i + 1, room - w)) if w <= room else skip
print(best(0, W))
