#include <bits/stdc++.h>
using namespace std;
int main() { string s; cin >> s; int n = s.size(), best = 0; vector<int> d(n), e(n);
 for (int i = 0, l = 0, r = -1; i < n; i++) { int k = i > r ? 1 : min(d[l + r - i], r - i + 1); while (i - k >= 0 && i + k < n && s[i - k] == s[i + k]) k++; d[i] = k; best = max(best, 2 * k - 1); if (i + k - 1 > r) l = i - k + 1, r = i + k - 1; }
 for (int i = 0, l = 0, r = -1; i < n; i++) { int k = i > r ? 0 : min(e[l + r - i + 1], r - i + 1); while (i - k - 1 >= 0 && i + k < n && s[i - k - 1] == s[i + k]) k++; e[i] = k; best = max(best, 2 * k); if (i + k - 1 > r) l = i - k, r = i + k - 1; }
 cout << best << endl; }
