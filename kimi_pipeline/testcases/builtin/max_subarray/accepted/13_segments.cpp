#include <bits/stdc++.h>
using namespace std;
struct Node { long long sum, pre, suf, best; };
Node build(const vector<long long>& a, int l, int r) {
    if (l == r) return {a[l], a[l], a[l], a[l]};
    int m = (l + r) / 2;
    Node x = build(a, l, m), y = build(a, m + 1, r);
    return {x.sum + y.sum, max(x.pre, x.sum + y.pre), max(y.suf, y.sum + x.suf), max({x.best, y.best, x.suf + y.pre})};
}
int main() {
    int n; cin >> n; vector<long long> a(n); for (auto& x : a) cin >> x;
    cout << build(a, 0, n - 1).best << '\n';
}
