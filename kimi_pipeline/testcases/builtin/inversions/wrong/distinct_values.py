input()
a = list(dict.fromkeys(map(int, input().split())))
print(sum(a[i] > a[j] for i in range(len(a)) for j in range(i + 1, len(a))))
