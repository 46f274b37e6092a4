#include <bits/stdc++.h>
using namespace std;
int main() { int n; cin >> n; set<long long> s; while (n--) { long long x; cin >> x; auto i = s.insert(x); if (i.second) { auto j = next(i.first); if (j != s.end()) s.erase(j); } } cout << s.size(); }
