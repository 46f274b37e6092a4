print(len(input()) // 2)
