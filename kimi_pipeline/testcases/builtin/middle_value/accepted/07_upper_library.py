from statistics import median_high
input()
print(median_high(map(int, input().split())))
