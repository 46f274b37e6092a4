#include <bits/stdc++.h>
using namespace std;
int main() { int n; cin >> n; map<int, int> c; while (n--) { int x; cin >> x; c[x]++; } int b = c.begin()->first; for (auto [v, k] : c) if (k > c[b]) b = v; cout << b << endl; }
