#include <bits/stdc++.h>
using namespace std;
int main() { string s; cin >> s; vector<int> p(s.size() + 1); for (size_t i = 0; i < s.size(); i++) p[i + 1] = p[i] + (s[i] == '(') - (s[i] == ')'); printf("%d\n", *max_element(p.begin(), p.end())); }
