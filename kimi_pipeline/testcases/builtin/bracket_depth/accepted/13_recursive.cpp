#include <bits/stdc++.h>
using namespace std;
string s; size_t i; int f() { int b = 0; while (i < s.size() && s[i] == '(') { i++; b = max(b, f() + 1); i++; } return b; }
int main() { cin >> s; cout << f() << "\n"; }
