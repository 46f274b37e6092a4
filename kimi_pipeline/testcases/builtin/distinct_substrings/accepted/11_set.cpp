#include <bits/stdc++.h>
using namespace std;
int main() { string s; cin >> s; set<string> t; for (size_t i = 0; i < s.size(); i++) for (size_t k = 1; i + k <= s.size(); k++) t.insert(s.substr(i, k)); cout << t.size() << endl; }
