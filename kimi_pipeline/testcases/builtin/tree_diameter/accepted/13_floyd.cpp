#include <bits/stdc++.h>
using namespace std;
int d[101][101];
int main() { int n; scanf("%d", &n); for (auto& r : d) fill(r, r + 101, 1000); for (int i = 1; i <= n; i++) d[i][i] = 0; for (int i = 1, u, v; i < n; i++) { scanf("%d%d", &u, &v); d[u][v] = d[v][u] = 1; }
 for (int k = 1; k <= n; k++) for (int i = 1; i <= n; i++) for (int j = 1; j <= n; j++) d[i][j] = min(d[i][j], d[i][k] + d[k][j]); int b = 0; for (int i = 1; i <= n; i++) for (int j = 1; j <= n; j++) b = max(b, d[i][j]); printf("%d\n", b); }
