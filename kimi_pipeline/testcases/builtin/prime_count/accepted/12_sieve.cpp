#include <bits/stdc++.h>
using namespace std;
int main() { int a, b; cin >> a >> b; vector<bool> s(b + 2, true); s[0] = s[1] = false; for (int i = 2; i * i <= b; i++) if (s[i]) for (int j = i * i; j <= b; j += i) s[j] = false; cout << count(s.begin() + a, s.begin() + b + 1, true); }
