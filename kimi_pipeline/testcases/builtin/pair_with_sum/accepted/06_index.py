n, s = map(int, input().split())
a = list(map(int, input().split()))
for i in range(n):
    try:
        j = a.index(s - a[i], i + 1)
    except ValueError:
        continue
    print(j + 1, i + 1)
    break
