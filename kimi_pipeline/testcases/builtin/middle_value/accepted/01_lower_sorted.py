n = int(input())
print(sorted(map(int, input().split()))[(n - 1) // 2])
