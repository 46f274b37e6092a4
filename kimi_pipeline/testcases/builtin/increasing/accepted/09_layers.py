n = int(input())
a = list(map(int, input().split()))
left = set(range(n))
layers = 0
while left:
    layers += 1
    low = None
    first = set()
    for i in sorted(left):
        if low is None or a[i] <= low:
            first.add(i)
            low = a[i]
    left -= first
print(layers)
