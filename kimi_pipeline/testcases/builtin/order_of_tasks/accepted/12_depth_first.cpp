#include <bits/stdc++.h>
using namespace std;
vector<int> g[60], o; bool s[60]; void go(int u) { s[u] = true; for (int v : g[u]) if (!s[v]) go(v); o.push_back(u); }
int main() { int n, m; cin >> n >> m; while (m--) { int u, v; cin >> u >> v; g[u].push_back(v); } for (int u = n; u; u--) if (!s[u]) go(u); reverse(o.begin(), o.end()); for (int u : o) cout << u << "\n"; }
