#include <bits/stdc++.h>
using namespace std;
int main() { int n, m; cin >> n >> m; vector<vector<int>> g(n + 1); vector<int> c(n + 1); while (m--) { int u, v; cin >> u >> v; g[u].push_back(v); c[v]++; } vector<int> q; for (int u = n; u; u--) if (!c[u]) q.push_back(u); for (size_t i = 0; i < q.size(); i++) for (int v : g[q[i]]) if (!--c[v]) q.push_back(v); for (int u : q) cout << u << ' '; }
