#include <bits/stdc++.h>
using namespace std;
int main() { bitset<3001> c; for (int i = 2; i <= 3000; i++) if (!c[i]) for (int j = 2 * i; j <= 3000; j += i) c.set(j); int a, b, k = 0; scanf("%d%d", &a, &b); for (int i = a; i <= b; i++) if (i > 1 && !c[i]) ++k; printf("%d\n", k); }
