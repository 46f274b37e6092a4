#include <bits/stdc++.h>
using namespace std;
int main() { int n, s; scanf("%d%d", &n, &s); vector<pair<int, int>> a(n); for (int i = 0; i < n; i++) { scanf("%d", &a[i].first); a[i].second = i + 1; } sort(a.begin(), a.end()); int l = 0, r = n - 1; while (a[l].first + a[r].first != s) if (a[l].first + a[r].first > s) r--; else l++; printf("%d %d\n", min(a[l].second, a[r].second), max(a[l].second, a[r].second)); }
