import sys
n, s, *a = map(int, sys.stdin.read().split())
answer = None
for j in range(n):
    for i in range(j):
        if a[i] + a[j] == s:
            answer = (i, j)
print(answer[0] + 1, answer[1] + 1)
