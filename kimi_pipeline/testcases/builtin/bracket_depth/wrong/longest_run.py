from itertools import groupby
print(max(len(list(g)) for c, g in groupby(input()) if c == "("))
