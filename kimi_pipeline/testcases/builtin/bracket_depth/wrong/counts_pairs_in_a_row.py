print(input().count("()"))
