word("abcdefghijklmnopqrstuvwxyz", 1, 150)
end()
