#include <bits/stdc++.h>
using namespace std;
int main() { int n, c = 0; cin >> n; for (int d = 1; d <= n; d++) if (n % d == 0) c++; cout << c << endl; }
