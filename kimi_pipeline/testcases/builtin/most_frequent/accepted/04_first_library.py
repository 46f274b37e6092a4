from statistics import mode
input()
print(mode(map(int, input().split())))
