#include <bits/stdc++.h>
using namespace std;
int main() { string s; cin >> s; if (s.size() > 128) s.resize(128); int n = s.size(), best = 1; for (int i = 0; i < n; i++) for (int d = 0; d < 2; d++) { int l = i, r = i + d; while (l >= 0 && r < n && s[l] == s[r]) l--, r++; best = max(best, r - l - 1); } cout << best << endl; }
