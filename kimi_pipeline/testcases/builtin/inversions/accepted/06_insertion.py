input()
a = list(map(int, input().split()))
moves = 0
for i in range(1, len(a)):
    x, j = a[i], i
    while j and a[j - 1] > x:
        a[j] = a[j - 1]
        j -= 1
    a[j] = x
    moves += i - j
print(moves)
