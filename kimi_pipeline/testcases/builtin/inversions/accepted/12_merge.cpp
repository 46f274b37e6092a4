#include <bits/stdc++.h>
using namespace std;
vector<int> a, b; 
long long f(int l, int r) { if (r - l < 2) return 0; int m = (l + r) / 2; long long c = f(l, m) + f(m, r);
    int j = m; for (int i = l; i < m; i++) { while (j < r && a[j] < a[i]) j++; c += j - m; }
    inplace_merge(a.begin() + l, a.begin() + m, a.begin() + r); return c; }
int main() { int n; cin >> n; a.resize(n); for (int& x : a) cin >> x; cout << f(0, n) << endl; }
