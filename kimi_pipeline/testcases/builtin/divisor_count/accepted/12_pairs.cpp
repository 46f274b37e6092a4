#include <bits/stdc++.h>
using namespace std;
int main() { long long n; cin >> n; long long c = 0, d = 1; for (; d * d < n; d++) c += 2 * (n % d == 0); c += d * d == n; cout << c; }
