#include <bits/stdc++.h>
using namespace std;
int main() { int n, s; cin >> n >> s; map<int, int> m; for (int i = 1; i <= n; i++) { int x; cin >> x; if (m.count(s - x)) { cout << i << " " << m[s - x]; return 0; } m[x] = i; } }
