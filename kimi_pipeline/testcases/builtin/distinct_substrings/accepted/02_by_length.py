s = input()
n = len(s)
print(sum(len({s[i:i + k] for i in range(n - k + 1)}) for k in range(1, n + 1)))
