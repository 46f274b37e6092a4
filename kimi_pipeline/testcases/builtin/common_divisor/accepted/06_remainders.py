input()
a = set(map(int, input().split()))
while len(a) > 1:
    m = min(a)
    a = {x % m for x in a} - {0} | {m}
print(a.pop())
