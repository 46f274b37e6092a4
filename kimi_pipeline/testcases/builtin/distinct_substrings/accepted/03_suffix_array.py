s = input()
n = len(s)
order = sorted(s[i:] for i in range(n))
count = n * (n + 1) // 2
for a, b in zip(order, order[1:]):
    k = 0
    while k < len(a) and k < len(b) and a[k] == b[k]:
        k += 1
    count -= k
print(count)
