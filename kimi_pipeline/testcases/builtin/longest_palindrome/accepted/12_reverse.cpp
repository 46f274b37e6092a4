#include <bits/stdc++.h>
using namespace std;
int main() { string s; cin >> s; size_t best = 0; for (size_t i = 0; i < s.size(); i++) for (size_t k = best + 1; i + k <= s.size(); k++) { string t = s.substr(i, k), u(t.rbegin(), t.rend()); if (t == u) best = k; } cout << best << "\n"; }
