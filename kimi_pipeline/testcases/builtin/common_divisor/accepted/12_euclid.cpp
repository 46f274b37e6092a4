#include <bits/stdc++.h>
using namespace std;
int main() { int n; cin >> n; long long g = 0, x; while (n-- && cin >> x) while (x) { long long t = g % x; g = x; x = t; } cout << g; }
