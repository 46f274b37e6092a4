s = input()
every = sorted(s[i:j] for i in range(len(s)) for j in range(i + 1, len(s) + 1))
c = 0
before = None
for t in every:
    if t != before:
        c += 1
    before = t
print(c)
