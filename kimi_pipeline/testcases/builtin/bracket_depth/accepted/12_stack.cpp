#include <bits/stdc++.h>
using namespace std;
int main() { string s; cin >> s; stack<char> t; size_t b = 0; for (char c : s) { if (c == '(') t.push(c); else t.pop(); b = max(b, t.size()); } cout << b; }
