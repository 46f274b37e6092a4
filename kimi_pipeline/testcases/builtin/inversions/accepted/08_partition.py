import sys
sys.setrecursionlimit(5000)
def f(a):
    if len(a) < 2 or len(set(a)) == 1:
        return 0
    p = sorted(set(a))[len(set(a)) // 2]
    c = big = 0
    for x in a:
        if x < p: c += big
        else: big += 1
    return c + f([x for x in a if x < p]) + f([x for x in a if x >= p])
input()
print(f(list(map(int, input().split()))))
