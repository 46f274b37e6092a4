n, s = map(int, input().split())
a = list(map(int, input().split()))
for d in range(1, n):
    hit = [i for i in range(n - d) if a[i] + a[i + d] == s]
    if hit:
        print(hit[0] + 1, hit[0] + d + 1)
        break
