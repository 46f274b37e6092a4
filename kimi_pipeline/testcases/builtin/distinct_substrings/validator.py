word("abcdefghijklmnopqrstuvwxyz", 1, 80)
end()
