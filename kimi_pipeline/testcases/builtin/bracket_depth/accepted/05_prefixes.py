s = input().strip()
print(max(s[:i].count("(") - s[:i].count(")") for i in range(len(s) + 1)))
