import sys
s = sys.stdin.readline().strip()
def spread(l, r):
    while 0 <= l and r < len(s) and s[l] == s[r]:
        l, r = l - 1, r + 1
    return r - l - 1
print(max(max(spread(i, i), spread(i, i + 1)) for i in range(len(s))))
