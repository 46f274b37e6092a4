#include <bits/stdc++.h>
using namespace std;
int main() { int n; cin >> n; vector<pair<int, int>> c(51); for (int i = 0; i < 51; i++) c[i] = {0, i}; while (n--) { int x; cin >> x; c[x].first++; } sort(c.rbegin(), c.rend()); printf("%d\n", c[0].second); }
