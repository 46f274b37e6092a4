#include <bits/stdc++.h>
using namespace std;
vector<int> g[200]; bool s[200]; void go(int u) { s[u] = 1; for (int v : g[u]) if (!s[v]) go(v); }
int main() { int n, m, c = 0; scanf("%d%d", &n, &m); for (int u, v; m-- && scanf("%d%d", &u, &v) == 2;) g[u].push_back(v), g[v].push_back(u); for (int u = 1; u <= n; u++) if (!s[u]) c++, go(u); printf("%d\n", c); }
