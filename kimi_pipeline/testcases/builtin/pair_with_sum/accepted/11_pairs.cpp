#include <bits/stdc++.h>
using namespace std;
int main() { int n, s; cin >> n >> s; vector<int> a(n); for (int& x : a) cin >> x; for (int j = 0; j < n; j++) for (int i = 0; i < j; i++) if (a[i] + a[j] == s) { cout << i + 1 << ' ' << j + 1 << endl; return 0; } }
