#include <bits/stdc++.h>
using namespace std;
int main() { int n, m; cin >> n >> m; map<int, vector<int>> g; while (m--) { int u, v; cin >> u >> v; g[u].push_back(v); g[v].push_back(u); } set<int> left; for (int i = 1; i <= n; i++) left.insert(i); int c = 0;
 while (!left.empty()) { c++; queue<int> q; q.push(*left.begin()); left.erase(left.begin()); while (!q.empty()) { int u = q.front(); q.pop(); for (int v : g[u]) if (left.erase(v)) q.push(v); } } cout << c << "\n"; }
