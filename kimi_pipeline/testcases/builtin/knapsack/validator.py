n, W = ints_of(2)
check(1 <= n <= 30 and 1 <= W <= 500)
for _ in range(n):
    w, v = ints_of(2)
    check(1 <= w <= 500 and 1 <= v <= 1000)
end()
