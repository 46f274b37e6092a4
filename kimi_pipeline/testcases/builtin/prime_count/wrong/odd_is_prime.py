a, b = map(int, input().split())
print(sum(n == 2 or (n > 2 and n % 2 == 1) for n in range(a, b + 1)))
