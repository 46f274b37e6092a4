#include <bits/stdc++.h>
using namespace std;
int main() { int n; cin >> n; multiset<int> s; for (int x, i = 0; i < n && cin >> x; i++) s.insert(x); auto l = next(s.begin(), (n - 1) / 2), r = next(s.begin(), n / 2); double m = (*l + *r) * 0.5; cout << m << "\n"; }
