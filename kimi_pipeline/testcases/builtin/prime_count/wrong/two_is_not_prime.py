a, b = map(int, input().split())
print(sum(n > 2 and n % 2 == 1 and all(n % d for d in range(3, int(n ** 0.5) + 1, 2)) for n in range(a, b + 1)))
