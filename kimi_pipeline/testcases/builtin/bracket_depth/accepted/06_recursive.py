s = input().strip()
def read(i):
    deep = 0
    while i < len(s) and s[i] == "(":
        inner, i = read(i + 1)
        deep = max(deep, inner + 1)
        i += 1
    return deep, i
print(read(0)[0])
