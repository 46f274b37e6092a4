n, = ints(1, 2, 100)
for _ in range(n):
    ints(2, -10**6, 10**6)
end()
