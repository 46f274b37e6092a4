#include <bits/stdc++.h>
using namespace std;
int main() { int n; long long a, b, px, py, x, y, s = 0; scanf("%d%lld%lld%lld%lld", &n, &a, &b, &px, &py); for (int i = 2; i < n; i++) { scanf("%lld%lld", &x, &y); s += (px - a) * (y - b) - (py - b) * (x - a); px = x; py = y; } printf("%lld\n", s < 0 ? -s : s); }
