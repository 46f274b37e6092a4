from functools import reduce
def join(p, q):
    return (p[0] + q[0], max(p[1], p[0] + q[1]), max(q[2], q[0] + p[2]), max(p[3], q[3], p[2] + q[1]))
input()
print(reduce(join, ((x, x, x, x) for x in map(int, input().split())))[3])
