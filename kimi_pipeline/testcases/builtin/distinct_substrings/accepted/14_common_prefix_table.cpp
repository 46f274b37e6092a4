#include <bits/stdc++.h>
using namespace std;
int l[90][90];
int main() { string s; cin >> s; int n = s.size(), c = 0; for (int i = n - 1; i >= 0; i--) for (int j = n - 1; j >= 0; j--) l[i][j] = s[i] == s[j] ? l[i + 1][j + 1] + 1 : 0;
 for (int i = 0; i < n; i++) { int seen = 0; for (int j = 0; j < i; j++) seen = max(seen, l[i][j]); c += n - i - seen; } cout << c << "\n"; }
