from collections import Counter
input()
later = Counter()
c = 0
for x in reversed(list(map(int, input().split()))):
    c += sum(k for v, k in later.items() if v < x)
    later[x] += 1
print(c)
