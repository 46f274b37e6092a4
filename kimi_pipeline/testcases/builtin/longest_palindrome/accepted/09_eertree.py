s = input()
length, link, to = [-1, 0], [0, 0], [{}, {}]
last = 1
for i, ch in enumerate(s):
    def fit(v):
        while i - length[v] - 1 < 0 or s[i - length[v] - 1] != ch:
            v = link[v]
        return v
    cur = fit(last)
    if ch not in to[cur]:
        length.append(length[cur] + 2)
        to.append({})
        link.append(1 if length[-1] == 1 else to[fit(link[cur])][ch])
        to[cur][ch] = len(length) - 1
    last = to[cur][ch]
print(max(length))
