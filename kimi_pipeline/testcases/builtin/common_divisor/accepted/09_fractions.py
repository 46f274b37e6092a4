from fractions import Fraction
input()
a = list(map(int, input().split()))
g = a[0]
for x in a[1:]:
    g = g // Fraction(g, x).numerator
print(g)
