#include <bits/stdc++.h>
using namespace std;
int n, W, w[40], v[40]; map<pair<int, int>, int> m;
int f(int i, int r) { if (i == n) return 0; auto it = m.find({i, r}); if (it != m.end()) return it->second; int b = f(i + 1, r); if (w[i] <= r) b = max(b, f(i + 1, r - w[i]) + v[i]); return m[{i, r}] = b; }
int main() { cin >> n >> W; for (int i = 0; i < n; i++) cin >> w[i] >> v[i]; cout << f(0, W); }
