n, m = ints_of(2)
check(1 <= n <= 100 and 0 <= m <= 200)
for _ in range(m):
    ints(2, 1, n)
end()
