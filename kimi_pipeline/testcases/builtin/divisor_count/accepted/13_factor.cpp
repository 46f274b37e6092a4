#include <bits/stdc++.h>
using namespace std;
int main() { int n; scanf("%d", &n); int c = 1; for (int p = 2; p * p <= n; p++) { int k = 1; for (; n % p == 0; n /= p) k++; c *= k; } if (n > 1) c *= 2; printf("%d\n", c); }
