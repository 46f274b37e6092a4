a, b = [int(x) for x in input().split()]
divisors = [0] * (b + 1)
for d in range(1, b + 1):
    for m in range(d, b + 1, d):
        divisors[m] += 1
print(divisors[a:].count(2))
