#include <bits/stdc++.h>
using namespace std;
int main() { int n; cin >> n; vector<double> x(n), y(n); double b = 1e18; for (int i = 0; i < n; i++) { cin >> x[i] >> y[i]; for (int j = 0; j < i; j++) b = min(b, hypot(x[i] - x[j], y[i] - y[j])); } cout << fixed << setprecision(10) << b << endl; }
