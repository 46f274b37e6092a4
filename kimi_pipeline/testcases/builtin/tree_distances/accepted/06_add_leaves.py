import sys
n, *e = map(int, sys.stdin.read().split())
g = [[] for _ in range(n + 1)]
for u, v in zip(e[::2], e[1::2]):
    g[u].append(v); g[v].append(u)
known = {1: {1: 0}}
todo = [1]
total = 0
while todo:
    u = todo.pop()
    for v in g[u]:
        if v not in known:
            row = {w: d + 1 for w, d in known[u].items()}
            total += sum(row.values())
            for w, d in row.items():
                known[w][v] = d
            row[v] = 0
            known[v] = row
            todo.append(v)
print(total)
