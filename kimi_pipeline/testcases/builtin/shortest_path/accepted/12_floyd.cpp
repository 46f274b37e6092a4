#include <bits/stdc++.h>
using namespace std;
long long d[60][60];
int main() { int n, m; scanf("%d%d", &n, &m); memset(d, 63, sizeof d); for (int i = 1; i <= n; i++) d[i][i] = 0; for (int u, v, w; m--;) { scanf("%d%d%d", &u, &v, &w); d[u][v] = min<long long>(d[u][v], w); }
 for (int k = 1; k <= n; k++) for (int i = 1; i <= n; i++) for (int j = 1; j <= n; j++) d[i][j] = min(d[i][j], d[i][k] + d[k][j]); printf("%lld\n", d[1][n] > 1000000000000LL ? -1 : d[1][n]); }
