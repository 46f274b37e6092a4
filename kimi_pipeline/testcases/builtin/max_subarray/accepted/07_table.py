n = int(input())
a = [int(w) for w in input().split()]
ending = [0] * n
ending[0] = a[0]
for i in range(1, n):
    ending[i] = a[i] + max(0, ending[i - 1])
print(max(ending))
