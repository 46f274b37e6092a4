a, b = map(int, input().split())
composite = {i * j for i in range(2, 55) for j in range(i, 3000 // i + 1)}
print(len(set(range(max(2, a), b + 1)) - composite))
