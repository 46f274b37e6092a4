n, = ints(1, 1, 300)
ints(n, -10**9, 10**9)
end()
