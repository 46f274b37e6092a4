n = int(input())
a = sorted(map(int, input().split()))
s = a[(n - 1) // 2] + a[n // 2]
print(s // 2 if s % 2 == 0 else s / 2)
