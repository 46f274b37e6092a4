#include <bits/stdc++.h>
using namespace std;
int main() { int n, m; cin >> n >> m; map<int, vector<pair<int, long long>>> g; while (m--) { int u, v; long long w; cin >> u >> v >> w; g[u].emplace_back(v, w); } set<pair<long long, int>> s{{0, 1}}; map<int, long long> fin;
 while (!s.empty()) { auto [d, u] = *s.begin(); s.erase(s.begin()); if (!fin.emplace(u, d).second) continue; for (auto& [v, w] : g[u]) if (!fin.count(v)) s.insert({d + w, v}); } cout << (fin.count(n) ? fin[n] : -1) << "\n"; }
