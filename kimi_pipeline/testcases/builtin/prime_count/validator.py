a, b = ints(2, 1, 3000)
check(a <= b)
end()
