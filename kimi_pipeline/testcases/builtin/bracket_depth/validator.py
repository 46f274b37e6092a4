s = word("()", 2, 100)
depth = 0
for c in s:
    depth += 1 if c == "(" else -1
    check(depth >= 0, "closes more than it opens")
check(depth == 0, "leaves brackets open")
end()
