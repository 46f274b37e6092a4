#include <bits/stdc++.h>
using namespace std;
int main() { int n, m; cin >> n >> m; vector<array<int, 3>> e(m); for (auto& [u, v, w] : e) cin >> u >> v >> w; vector<int> d(n + 1, 2000000000); d[1] = 0;
 for (int i = 0; i < n; i++) for (auto [u, v, w] : e) if (d[u] < 2000000000 && d[u] + w < d[v]) d[v] = d[u] + w; cout << (d[n] == 2000000000 ? -1 : d[n]); }
