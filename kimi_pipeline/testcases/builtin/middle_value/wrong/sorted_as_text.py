n = int(input())
print(sorted(input().split())[n // 2])
