n, = ints(1, 1, 100)
ints(n, 1, 50)
end()
