a, b = map(int, input().split())
def prime(n):
    d = 2
    while d * d < n:
        if n % d == 0:
            return False
        d += 1
    return n > 1
print(sum(map(prime, range(a, b + 1))))
