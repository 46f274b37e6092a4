a, b = map(int, input().split())
least = [0] * (b + 1)
primes = []
for i in range(2, b + 1):
    if not least[i]:
        least[i] = i
        primes.append(i)
    for p in primes:
        if p > least[i] or i * p > b:
            break
        least[i * p] = p
print(len([p for p in primes if p >= a]))
