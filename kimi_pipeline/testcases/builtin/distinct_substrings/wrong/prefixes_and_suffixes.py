s = input()
print(len({s[:i] for i in range(1, len(s) + 1)} | {s[i:] for i in range(len(s))}))
