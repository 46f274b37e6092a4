import sys
data = list(map(int, sys.stdin.read().split()))
n = data[0]
g = [[] for _ in range(n + 1)]
for i in range(1, len(data), 2):
    g[data[i]].append(data[i + 1])
    g[data[i + 1]].append(data[i])
dist = {1: {1: 0}}
a = b = 1
length = 0
stack = [1]
while stack:
    u = stack.pop()
    for v in g[u]:
        if v in dist:
            continue
        row = {w: k + 1 for w, k in dist[u].items()}
        row[v] = 0
        for w, k in row.items():
            dist.setdefault(w, {})[v] = k
        dist[v] = row
        for end in (a, b):
            if row[end] > length:
                length = row[end]
                a, b = end, v
                break
        stack.append(v)
print(length)
