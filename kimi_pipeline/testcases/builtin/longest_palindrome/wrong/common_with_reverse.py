s = input()
r = s[::-1]
print(max(k for k in range(len(s) + 1) if any(s[i:i + k] in r for i in range(len(s) - k + 1))))
