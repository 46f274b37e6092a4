n, s = map(int, input().split())
a = list(map(int, input().split()))
def run():
    for i in range(n):
        for j in range(i + 1, n):
            if a[i] + a[j] == s:
                return i + 1, j + 1
print(*run())
