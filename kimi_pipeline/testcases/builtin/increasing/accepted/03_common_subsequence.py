input()
a = list(map(int, input().split()))
b = sorted(set(a))
row = [0] * (len(b) + 1)
for x in a:
    new = [0]
    for j, y in enumerate(b):
        new.append(row[j] + 1 if x == y else max(row[j + 1], new[j]))
    row = new
print(row[-1])
