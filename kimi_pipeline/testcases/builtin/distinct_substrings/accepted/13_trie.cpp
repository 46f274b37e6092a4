#include <bits/stdc++.h>
using namespace std;
int t[4000][26]; 
int main() { string s; cin >> s; int n = 1; for (size_t i = 0; i < s.size(); i++) { int v = 0; for (size_t j = i; j < s.size(); j++) { int& w = t[v][s[j] - 'a']; if (!w) w = n++; v = w; } } printf("%d\n", n - 1); }
