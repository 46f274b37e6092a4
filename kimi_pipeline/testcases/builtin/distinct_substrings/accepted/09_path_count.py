import sys
sys.setrecursionlimit(10000)
s = input()
def grow(ends):
    by = {}
    for e in ends:
        if e < len(s):
            by.setdefault(s[e], []).append(e + 1)
    return sum(1 + grow(v) for v in by.values())
print(grow(list(range(len(s)))))
