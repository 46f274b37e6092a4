#include <bits/stdc++.h>
using namespace std;
vector<vector<int>> g; long long t = 0; void walk(int u, int p, int d, int s) { if (u > s) t += d; for (int v : g[u]) if (v != p) walk(v, u, d + 1, s); }
int main() { int n; cin >> n; g.resize(n + 1); for (int i = 1, u, v; i < n; i++) { cin >> u >> v; g[u].push_back(v); g[v].push_back(u); } for (int s = 1; s <= n; s++) walk(s, 0, 0, s); cout << t << "\n"; }
