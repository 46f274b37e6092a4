n = int(input())
a = list(map(int, input().split()))
print(max(x for x in a if 2 * sum(y >= x for y in a) >= n))
