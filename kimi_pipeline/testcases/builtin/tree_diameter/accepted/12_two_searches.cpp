#include <bits/stdc++.h>
using namespace std;
int main() { int n; cin >> n; vector<vector<int>> g(n + 1); for (int i = 1, u, v; i < n; i++) { cin >> u >> v; g[u].push_back(v); g[v].push_back(u); }
 auto far = [&](int s) { vector<int> d(n + 1, -1); queue<int> q; d[s] = 0; q.push(s); int u = s; while (!q.empty()) { u = q.front(); q.pop(); for (int v : g[u]) if (d[v] < 0) d[v] = d[u] + 1, q.push(v); } return make_pair(u, d[u]); };
 cout << far(far(n).first).second; }
