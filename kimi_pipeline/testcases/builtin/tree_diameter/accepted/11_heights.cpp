#include <bits/stdc++.h>
using namespace std;
vector<int> g[101]; int best; int h(int u, int p) { int a = 0; for (int v : g[u]) if (v != p) { int b = h(v, u) + 1; best = max(best, a + b); a = max(a, b); } return a; }
int main() { int n; cin >> n; for (int i = 1, u, v; i < n; i++) { cin >> u >> v; g[u].push_back(v); g[v].push_back(u); } h(1, 0); cout << best << endl; }
