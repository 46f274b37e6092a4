#include <bits/stdc++.h>
using namespace std;
int main() { int n, m; cin >> n >> m; vector<bitset<101>> r(n + 1); for (int i = 1; i <= n; i++) r[i][i] = 1; while (m--) { int u, v; cin >> u >> v; r[u][v] = r[v][u] = 1; }
 for (int k = 1; k <= n; k++) for (int i = 1; i <= n; i++) if (r[i][k]) r[i] |= r[k]; int c = 0; for (int i = 1; i <= n; i++) c += (int)r[i]._Find_first() == i; cout << c; }
