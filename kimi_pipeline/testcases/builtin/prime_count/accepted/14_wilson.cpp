#include <bits/stdc++.h>
using namespace std;
int main() { long long a, b, k = 0; cin >> a >> b; for (long long n = max(2LL, a); n <= b; n++) { long long f = 1; for (long long i = 2; i < n && f; i++) f = f * i % n; if (f == n - 1) k++; } cout << k << "\n"; }
