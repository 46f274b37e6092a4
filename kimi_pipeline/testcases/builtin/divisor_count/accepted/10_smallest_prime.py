n = int(input())
least = list(range(n + 1))
i = 2
while i * i <= n:
    if least[i] == i:
        for j in range(i * i, n + 1, i):
            if least[j] == j:
                least[j] = i
    i += 1
c = 1
while n > 1:
    p, k = least[n], 0
    while n % p == 0:
        n //= p
        k += 1
    c *= k + 1
print(c)
