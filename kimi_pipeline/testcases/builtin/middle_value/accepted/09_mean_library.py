from statistics import median
input()
m = median(map(int, input().split()))
print(int(m) if m == int(m) else m)
