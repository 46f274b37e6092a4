#include <bits/stdc++.h>
using namespace std;
int main() { int n; cin >> n; int c = 0; for (int d = n; d >= 1; --d) c += __gcd(n, d) == d; cout << c << "\n"; }
