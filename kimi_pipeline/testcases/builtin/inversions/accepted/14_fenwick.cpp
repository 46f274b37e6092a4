#include <bits/stdc++.h>
using namespace std;
int main() { int n; cin >> n; vector<int> a(n); for (int& x : a) cin >> x; vector<int> v(a); sort(v.begin(), v.end());
    vector<int> t(n + 2); long long c = 0;
    for (int i = n - 1; i >= 0; i--) { int r = lower_bound(v.begin(), v.end(), a[i]) - v.begin() + 1;
        for (int k = r - 1; k > 0; k -= k & -k) c += t[k]; for (int k = r; k <= n; k += k & -k) t[k]++; }
    cout << c << '\n'; }
