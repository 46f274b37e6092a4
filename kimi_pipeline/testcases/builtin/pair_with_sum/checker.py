def check(given, output):
    n, s, *a = map(int, given.split())
    words = output.split()
    if len(words) != 2:
        return f"{len(words)} words, not two positions"
    if not all(word.isdecimal() and 1 <= int(word) <= n for word in words):
        return f"a position is not a number between 1 and {n}"
    i, j = map(int, words)
    if i == j:
        return f"position {i} twice"
    if a[i - 1] + a[j - 1] != s:
        return f"{a[i - 1]} + {a[j - 1]} is not {s}"
    return True
