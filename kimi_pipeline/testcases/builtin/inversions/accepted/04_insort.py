from bisect import bisect_right, insort
input()
s, c = [], 0
for x in map(int, input().split()):
    c += len(s) - bisect_right(s, x)
    insort(s, x)
print(c)
