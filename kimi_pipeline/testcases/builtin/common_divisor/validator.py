n, = ints(1, 1, 50)
ints(n, 1, 10**9)
end()
