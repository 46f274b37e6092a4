#include <bits/stdc++.h>
using namespace std;
int main() { int n; cin >> n; vector<vector<int>> g(n); for (int i = 1, u, v; i < n; i++) { cin >> u >> v; g[--u].push_back(--v); g[v].push_back(u); } unsigned short t = 0;
 for (int s = 0; s < n; s++) { vector<int> d(n, -1), q{s}; d[s] = 0; for (size_t i = 0; i < q.size(); i++) for (int v : g[q[i]]) if (d[v] < 0) { d[v] = d[q[i]] + 1; if (v > s) t += d[v]; q.push_back(v); } } cout << t; }
