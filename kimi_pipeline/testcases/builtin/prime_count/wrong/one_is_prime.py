a, b = map(int, input().split())
print(sum(all(n % d for d in range(2, int(n ** 0.5) + 1)) for n in range(a, b + 1)))
