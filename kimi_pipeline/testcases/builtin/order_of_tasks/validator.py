n, m = ints_of(2)
check(1 <= n <= 50 and 0 <= m <= 150)
after = {u: [] for u in range(1, n + 1)}
count = dict.fromkeys(after, 0)
for _ in range(m):
    u, v = ints(2, 1, n)
    after[u].append(v)
    count[v] += 1
free = [u for u in count if not count[u]]
for u in free:
    for v in after[u]:
        count[v] -= 1
        if not count[v]:
            free.append(v)
check(len(free) == n)
end()
