import heapq
n = int(input())
print(heapq.nsmallest((n + 1) // 2, map(int, input().split()))[-1])
