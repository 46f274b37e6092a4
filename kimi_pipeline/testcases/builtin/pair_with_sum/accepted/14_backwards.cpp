#include <bits/stdc++.h>
using namespace std;
int main() { int n, s; cin >> n >> s; vector<int> a(n); for (int& x : a) cin >> x; for (int d = n - 1; d; d--) for (int i = 0; i + d < n; i++) if (a[i] + a[i + d] == s) { cout << i + 1 << ' ' << i + d + 1 << '\n'; return 0; } }
