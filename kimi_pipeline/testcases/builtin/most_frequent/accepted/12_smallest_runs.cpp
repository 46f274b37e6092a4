#include <bits/stdc++.h>
using namespace std;
int main() { int n; cin >> n; vector<int> a(n); for (int& x : a) cin >> x; sort(a.begin(), a.end()); int b = 0, k = 0; for (int i = 0, j; i < n; i = j) { for (j = i; j < n && a[j] == a[i]; j++); if (j - i > k) k = j - i, b = a[i]; } cout << b; }
