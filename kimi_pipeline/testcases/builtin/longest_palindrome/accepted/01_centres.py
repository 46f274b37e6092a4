s = input()
best = 0
for c in range(2 * len(s) - 1):
    l = c // 2
    r = l + c % 2
    while l >= 0 and r < len(s) and s[l] == s[r]:
        l -= 1
        r += 1
    best = max(best, r - l - 1)
print(best)
