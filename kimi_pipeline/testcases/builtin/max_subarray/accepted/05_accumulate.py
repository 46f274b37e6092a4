from itertools import accumulate
input()
print(max(accumulate(map(int, input().split()), lambda run, x: max(run + x, x))))
