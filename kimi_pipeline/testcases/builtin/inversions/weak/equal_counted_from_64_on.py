n = int(input())
a = list(map(int, input().split()))
if n < 64:
    print(sum(a[i] > a[j] for i in range(n) for j in range(i + 1, n)))
else:
    print(sum(a[i] >= a[j] for i in range(n) for j in range(i + 1, n)))
