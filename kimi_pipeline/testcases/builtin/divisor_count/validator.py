ints(1, 1, 200000)
end()
