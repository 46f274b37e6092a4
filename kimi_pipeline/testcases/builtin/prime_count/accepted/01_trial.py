a, b = map(int, input().split())
def prime(n):
    if n < 2:
        return False
    d = 2
    while d * d <= n:
        if n % d == 0:
            return False
        d += 1
    return True
print(sum(map(prime, range(a, b + 1))))
