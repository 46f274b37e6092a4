s = input()
k = 0
for i in range(len(s)):
    if i - k >= 1 and s[i - k - 1:i + 1] == s[i - k - 1:i + 1][::-1]:
        k += 2
    elif s[i - k:i + 1] == s[i - k:i + 1][::-1]:
        k += 1
print(k)
