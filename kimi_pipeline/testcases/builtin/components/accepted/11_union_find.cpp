#include <bits/stdc++.h>
using namespace std;
int p[200]; int f(int x) { return p[x] == x ? x : p[x] = f(p[x]); }
int main() { int n, m; cin >> n >> m; iota(p, p + 200, 0); int c = n; while (m--) { int u, v; cin >> u >> v; u = f(u), v = f(v); if (u != v) p[u] = v, c--; } cout << c << endl; }
