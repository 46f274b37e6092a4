#include <bits/stdc++.h>
using namespace std;
int main() { int n; cin >> n; int g = 0; while (n--) { int x; cin >> x; g = gcd(g, x); } cout << g << endl; }
