s = input().strip()
opens = [i for i, c in enumerate(s) if c == "("]
print(max(2 * (k + 1) - (i + 1) for k, i in enumerate(opens)))
