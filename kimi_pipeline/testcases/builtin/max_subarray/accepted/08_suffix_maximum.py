n = int(input())
a = list(map(int, input().split()))
p = [0]
for x in a:
    p.append(p[-1] + x)
top = p[n]
answer = -float("inf")
for i in range(n - 1, -1, -1):
    answer = max(answer, top - p[i])
    top = max(top, p[i])
print(int(answer))
