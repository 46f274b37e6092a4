import sys
a, b = map(int, sys.stdin.read().split())
def prime(n):
    if n < 4:
        return n > 1
    if n % 2 == 0 or n % 3 == 0:
        return False
    i = 5
    while i * i <= n:
        if n % i == 0 or n % (i + 2) == 0:
            return False
        i += 6
    return True
c = 0
for n in range(a, b + 1):
    if prime(n):
        c += 1
print(c)
