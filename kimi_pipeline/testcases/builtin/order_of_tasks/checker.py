def check(given, output):
    n, m, *ends = map(int, given.split())
    words = output.split()
    if sorted(words) != sorted(map(str, range(1, n + 1))):
        return f"not each of the {n} tasks once"
    place = {int(word): number for number, word in enumerate(words)}
    for u, v in zip(ends[::2], ends[1::2]):
        if place[u] > place[v]:
            return f"task {u} comes after task {v}"
    return True
