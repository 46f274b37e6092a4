from statistics import median_low
input()
print(median_low(map(int, input().split())))
