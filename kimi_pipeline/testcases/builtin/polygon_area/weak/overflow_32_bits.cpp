#include <bits/stdc++.h>
using namespace std;
int main() { int n; cin >> n; vector<int> x(n), y(n); for (int i = 0; i < n; i++) cin >> x[i] >> y[i]; unsigned s = 0; for (int i = 0; i < n; i++) { int j = (i + 1) % n; s += (unsigned)x[i] * y[j] - (unsigned)x[j] * y[i]; } cout << abs((int)s) << endl; }
