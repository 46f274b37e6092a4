n, = ints(1, 1, 100)
ints(n, -1000, 1000)
end()
