#include <bits/stdc++.h>
using namespace std;
int main() { int n, m; cin >> n >> m; vector<pair<int, int>> e(m); for (auto& x : e) cin >> x.first >> x.second; vector<int> o; set<int> left; for (int i = 1; i <= n; i++) left.insert(i);
 while (!left.empty()) for (int u : left) { bool ok = true; for (auto& x : e) if (x.first == u && left.count(x.second)) ok = false; if (ok) { o.push_back(u); left.erase(u); break; } } reverse(o.begin(), o.end()); for (int u : o) printf("%d ", u); }
