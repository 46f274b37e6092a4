#include <bits/stdc++.h>
using namespace std;
int main() {
    int n; cin >> n; vector<long long> a(n), s(n, 0); for (auto& x : a) cin >> x;
    long long best = a[0];
    for (int len = 1; len <= n; len++)
        for (int i = 0; i + len <= n; i++) { s[i] += a[i + len - 1]; best = max(best, s[i]); }
    cout << best;
}
