#include <bits/stdc++.h>
using namespace std;
vector<int> g[101]; long long n, t; int go(int u, int p) { int s = 1; for (int v : g[u]) if (v != p) { int k = go(v, u); t += k * (n - k); s += k; } return s; }
int main() { cin >> n; for (int i = 1, u, v; i < n; i++) { cin >> u >> v; g[u].push_back(v); g[v].push_back(u); } go(1, 0); cout << t << endl; }
