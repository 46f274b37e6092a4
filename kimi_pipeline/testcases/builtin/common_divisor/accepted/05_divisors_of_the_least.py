input()
a = list(map(int, input().split()))
m = min(a)
found = 1
d = 1
while d * d <= m:
    if m % d == 0:
        for e in (d, m // d):
            if e > found and all(x % e == 0 for x in a):
                found = e
    d += 1
print(found)
