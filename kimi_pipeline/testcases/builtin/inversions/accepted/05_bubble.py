n = int(input())
a = list(map(int, input().split()))
swaps = 0
changed = True
while changed:
    changed = False
    for i in range(n - 1):
        if a[i] > a[i + 1]:
            a[i], a[i + 1] = a[i + 1], a[i]
            swaps += 1
            changed = True
print(swaps)
