#include <bits/stdc++.h>
using namespace std;
int main() { int n; cin >> n; vector<complex<double>> p; for (int i = 0; i < n; i++) { double a, b; cin >> a >> b; p.emplace_back(a, b); } vector<double> d; for (auto a = p.begin(); a != p.end(); ++a) for (auto b = next(a); b != p.end(); ++b) d.push_back(abs(*a - *b)); cout << fixed << *min_element(d.begin(), d.end()) << "\n"; }
