a, b = map(int, input().split())
s = bytearray([1]) * (b + 1)
s[:2] = b"\0\0"[:len(s[:2])]
for i in range(2, int(b ** 0.5) + 1):
    if s[i]:
        s[i * i::i] = bytes(len(range(i * i, b + 1, i)))
print(sum(s[a:]))
