#include <bits/stdc++.h>
using namespace std;
int main() { int n; scanf("%d", &n); vector<int> a(n), d(n, 1); for (int i = 0; i < n; i++) { scanf("%d", &a[i]); for (int j = 0; j < i; j++) if (a[j] < a[i]) d[i] = max(d[i], d[j] + 1); } printf("%d\n", *max_element(d.begin(), d.end())); }
