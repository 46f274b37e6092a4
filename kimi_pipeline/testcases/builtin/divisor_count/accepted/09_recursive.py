import sys
sys.setrecursionlimit(100000)
def tau(n, p=2):
    if n == 1:
        return 1
    if p * p > n:
        return 2
    if n % p:
        return tau(n, p + 1)
    k = 0
    while n % p == 0:
        n //= p
        k += 1
    return (k + 1) * tau(n, p + 1)
print(tau(int(input())))
