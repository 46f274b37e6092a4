s = input()
def run():
    for k in range(len(s), 0, -1):
        for i in range(len(s) - k + 1):
            t = s[i:i + k]
            if t == t[::-1]:
                return k
print(run())
