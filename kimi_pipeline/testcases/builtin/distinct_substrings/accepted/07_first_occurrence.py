s = input()
n = len(s)
c = 0
for i in range(n):
    for j in range(i + 1, n + 1):
        if s.find(s[i:j]) == i:
            c += 1
print(c)
