n, = ints(1, 1, 400)
ints(n, 1, 10**9)
end()
