#include <bits/stdc++.h>
using namespace std;
int main() { int n; cin >> n; vector<set<int>> g(n + 1); for (int i = 1, u, v; i < n; i++) { cin >> u >> v; g[u].insert(v); g[v].insert(u); } vector<int> top(n + 1, 0); int best = 0; queue<int> q; for (int i = 1; i <= n; i++) if (g[i].size() == 1) q.push(i);
 while (!q.empty()) { int u = q.front(); q.pop(); if (g[u].empty()) continue; int v = *g[u].begin(); best = max(best, top[v] + top[u] + 1); top[v] = max(top[v], top[u] + 1); g[v].erase(u); g[u].clear(); if (g[v].size() == 1) q.push(v); } cout << best << "\n"; }
