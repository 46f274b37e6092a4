#include <bits/stdc++.h>
using namespace std;
int main() { int n, m; cin >> n >> m; vector<vector<pair<int, int>>> g(n + 1); while (m--) { int u, v, w; cin >> u >> v >> w; g[u].push_back({v, w}); }
 vector<long long> d(n + 1, LLONG_MAX); priority_queue<pair<long long, int>> q; d[1] = 0; q.push({0, 1});
 while (!q.empty()) { auto [c, u] = q.top(); q.pop(); if (-c > d[u]) continue; for (auto [v, w] : g[u]) if (d[u] + w < d[v]) { d[v] = d[u] + w; q.push({-d[v], v}); } }
 cout << (d[n] == LLONG_MAX ? -1 : d[n]) << endl; }
