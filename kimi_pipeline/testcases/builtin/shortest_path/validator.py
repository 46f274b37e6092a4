n, m = ints_of(2)
check(2 <= n <= 50 and 1 <= m <= 200)
for _ in range(m):
    u, v, w = ints_of(3)
    check(1 <= u <= n and 1 <= v <= n and 0 <= w <= 10**6)
end()
