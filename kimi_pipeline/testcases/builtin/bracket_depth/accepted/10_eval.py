s = input().strip()
tree = [[]]
for c in s:
    if c == "(":
        tree.append([])
    else:
        node = tree.pop()
        tree[-1].append(1 + max(node, default=0))
print(max(tree[0]))
