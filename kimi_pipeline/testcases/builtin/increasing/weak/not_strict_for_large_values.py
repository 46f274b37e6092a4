from bisect import bisect_left, bisect_right
input()
t = []
for x in map(int, input().split()):
    i = bisect_left(t, x) if abs(x) < 1000 else bisect_right(t, x)
    t[i:i + 1] = [x]
print(len(t))
