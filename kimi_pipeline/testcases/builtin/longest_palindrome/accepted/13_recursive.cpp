#include <bits/stdc++.h>
using namespace std;
string s; int memo[160][160];
bool pal(int i, int j) { if (i >= j) return true; int& m = memo[i][j]; if (m) return m == 1; bool r = s[i] == s[j] && pal(i + 1, j - 1); m = r ? 1 : 2; return r; }
int main() { getline(cin, s); while (!s.empty() && isspace(s.back())) s.pop_back(); int n = s.size(), b = 0; for (int i = 0; i < n; i++) for (int j = i; j < n; j++) if (pal(i, j)) b = max(b, j - i + 1); printf("%d\n", b); }
