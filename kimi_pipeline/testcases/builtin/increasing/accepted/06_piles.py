input()
piles = []
for x in map(int, input().split()):
    for p in piles:
        if p[-1] >= x:
            p.append(x)
            break
    else:
        piles.append([x])
print(len(piles))
