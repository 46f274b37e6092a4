#include <bits/stdc++.h>
using namespace std;
int n, a[200], m[200]; int f(int i) { if (m[i]) return m[i]; int b = 0; for (int j = i + 1; j <= n; j++) if (i == 0 || a[j] > a[i]) b = max(b, f(j)); return m[i] = b + 1; }
int main() { cin >> n; for (int i = 1; i <= n; i++) cin >> a[i]; cout << f(0) - 1 << "\n"; }
