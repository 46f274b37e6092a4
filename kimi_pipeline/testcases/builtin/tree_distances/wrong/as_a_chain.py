n = int(input())
print(sum(d * (n - d) for d in range(1, n)))
