def sort(a):
    if len(a) < 2:
        return a, 0
    m = len(a) // 2
    l, x = sort(a[:m])
    r, y = sort(a[m:])
    out, i, j, c = [], 0, 0, x + y
    while i < len(l) and j < len(r):
        if l[i] <= r[j]:
            out.append(l[i]); i += 1
        else:
            out.append(r[j]); j += 1
            c += len(l) - i
    return out + l[i:] + r[j:], c
input()
print(sort(list(map(int, input().split())))[1])
