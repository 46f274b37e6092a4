#include <bits/stdc++.h>
using namespace std;
int main() { string s; cin >> s; int d = 0, b = 0; for (char c : s) { d += c == '(' ? 1 : -1; b = max(b, d); } cout << b << endl; }
