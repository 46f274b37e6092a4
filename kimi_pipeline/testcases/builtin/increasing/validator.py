n, = ints(1, 1, 150)
ints(n, -10**9, 10**9)
end()
