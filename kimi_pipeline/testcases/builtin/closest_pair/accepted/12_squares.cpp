#include <bits/stdc++.h>
using namespace std;
int main() { int n; scanf("%d", &n); vector<pair<long long, long long>> p(n); for (auto& q : p) scanf("%lld%lld", &q.first, &q.second); long long b = LLONG_MAX; for (int i = 0; i < n; i++) for (int j = i + 1; j < n; j++) { long long dx = p[i].first - p[j].first, dy = p[i].second - p[j].second; b = min(b, dx * dx + dy * dy); } printf("%.7f\n", sqrt((double)b)); }
