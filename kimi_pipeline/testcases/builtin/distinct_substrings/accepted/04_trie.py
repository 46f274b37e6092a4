s = input()
root = {}
nodes = 0
for i in range(len(s)):
    at = root
    for c in s[i:]:
        if c not in at:
            at[c] = {}
            nodes += 1
        at = at[c]
print(nodes)
