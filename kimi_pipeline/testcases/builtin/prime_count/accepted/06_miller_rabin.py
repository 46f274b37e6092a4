a, b = map(int, input().split())
def probable(n):
    if n < 2: return 0
    for p in (2, 3, 5, 7):
        if n % p == 0: return int(n == p)
    d, r = n - 1, 0
    while d % 2 == 0: d //= 2; r += 1
    for w in (2, 3, 5, 7):
        x = pow(w, d, n)
        if x in (1, n - 1): continue
        for _ in range(r - 1):
            x = x * x % n
            if x == n - 1: break
        else: return 0
    return 1
print(sum(probable(n) for n in range(a, b + 1)))
