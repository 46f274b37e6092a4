n = int(input().split()[0])
print(*range(1, n + 1))
