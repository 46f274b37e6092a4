#include <bits/stdc++.h>
using namespace std;
struct P { long long x, y; };
int main() { int n; cin >> n; vector<P> p(n); for (auto& q : p) cin >> q.x >> q.y; p.push_back(p[0]); cout << abs(inner_product(p.begin(), p.end() - 1, p.begin() + 1, 0LL, plus<>(), [](P a, P b) { return (a.x - b.x) * (a.y + b.y); })) << "\n"; }
