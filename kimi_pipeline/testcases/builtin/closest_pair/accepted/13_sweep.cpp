#include <bits/stdc++.h>
using namespace std;
typedef pair<long long, long long> P;
int main() { int n; cin >> n; vector<P> p(n); for (auto& q : p) cin >> q.first >> q.second; sort(p.begin(), p.end()); set<P> s; size_t l = 0; double b = 1e9; for (auto& q : p) { while (p[l].first + b < q.first) s.erase({p[l].second, l}), l++; size_t i = &q - &p[0];
 for (auto it = s.lower_bound({(long long)floor(q.second - b) - 1, 0}); it != s.end() && it->first <= q.second + b + 1; ++it) b = min(b, hypot((double)(p[it->second].first - q.first), (double)(it->first - q.second))); s.insert({q.second, (long long)i}); } cout << setprecision(12) << b; }
