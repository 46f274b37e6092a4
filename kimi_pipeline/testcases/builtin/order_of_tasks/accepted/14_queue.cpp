#include <bits/stdc++.h>
using namespace std;
int main() { int n, m; cin >> n >> m; map<int, set<int>> b; for (int i = 1; i <= n; i++) b[i]; while (m--) { int u, v; cin >> u >> v; b[v].insert(u); } while (!b.empty()) { int pick = 0; for (auto& [v, s] : b) if (s.empty()) pick = v; cout << pick << " "; b.erase(pick); for (auto& [v, s] : b) s.erase(pick); } cout << endl; }
