s = input()
print(max(j - i + 1 for i in range(len(s)) for j in range(i, len(s)) if s[i] == s[j]))
