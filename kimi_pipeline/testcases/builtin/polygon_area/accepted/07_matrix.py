def det(m):
    return m[0][0] * m[1][1] - m[0][1] * m[1][0]
n = int(input())
corners = [tuple(map(int, input().split())) for _ in range(n)]
print(abs(sum(det(pair) for pair in zip(corners, corners[1:] + corners[:1]))))
