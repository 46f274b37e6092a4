#include <bits/stdc++.h>
using namespace std;
int main() { int n; cin >> n; vector<complex<long double>> p(n); for (auto& z : p) { long double a, b; cin >> a >> b; z = {a, b}; } long double s = 0; for (int i = 0; i < n; i++) s += imag(conj(p[i]) * p[(i + 1) % n]); cout << llroundl(fabsl(s)) << endl; }
