def longest_border(t):
    p = [0] * len(t)
    for i in range(1, len(t)):
        k = p[i - 1]
        while k and t[i] != t[k]:
            k = p[k - 1]
        p[i] = k + (t[i] == t[k])
    return max(p)
s = input()
print(sum(i + 1 - longest_border(s[:i + 1][::-1]) for i in range(len(s))))
