#include <bits/stdc++.h>
using namespace std;
int main() { int n; cin >> n; map<int, int> c; while (n--) { int x; cin >> x; c[x]++; } int b = 0; for (auto& p : c) if (p.second >= c[b]) b = p.first; cout << b << "\n"; }
