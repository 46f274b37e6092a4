#include <bits/stdc++.h>
using namespace std;
int main() {
    int n; scanf("%d", &n);
    vector<long long> p(n + 1);
    for (int i = 1; i <= n; i++) { scanf("%lld", &p[i]); p[i] += p[i - 1]; }
    long long best = -4e18;
    for (int i = 0; i < n; i++) best = max(best, *max_element(p.begin() + i + 1, p.end()) - p[i]);
    printf("%lld\n", best);
}
