#include <bits/stdc++.h>
using namespace std;
int main() { int a, b, c = 0; cin >> a >> b; for (int n = max(a, 2); n <= b; n++) { bool p = true; for (int d = 2; d * d <= n && p; d++) if (n % d == 0) p = false; c += p; } cout << c << endl; }
