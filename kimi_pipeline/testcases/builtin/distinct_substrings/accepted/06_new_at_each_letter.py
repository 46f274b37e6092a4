s = input()
total = 0
for i in range(len(s)):
    k = 0
    while k < i + 1 and s[i - k:i + 1] in s[:i]:
        k += 1
    total += i + 1 - k
print(total)
