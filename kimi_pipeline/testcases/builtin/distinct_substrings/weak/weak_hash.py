s = input()
seen = set()
for i in range(len(s)):
    h = 0
    for c in s[i:]:
        h = (h * 31 + ord(c)) % 50021
        seen.add(h)
print(len(seen))
