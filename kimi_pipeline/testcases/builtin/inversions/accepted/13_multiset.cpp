#include <bits/stdc++.h>
using namespace std;
int main() { int n; cin >> n; multiset<int> s; long long c = 0; for (int x; n-- && cin >> x;) { c += distance(s.upper_bound(x), s.end()); s.insert(x); } cout << c; }
