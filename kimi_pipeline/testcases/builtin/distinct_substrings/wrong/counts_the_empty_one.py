s = input()
print(len({s[i:j] for i in range(len(s)) for j in range(i, len(s) + 1)}))
