#include <bits/stdc++.h>
using namespace std;
int main() { string s; cin >> s; vector<string> v; for (size_t i = 0; i < s.size(); i++) v.push_back(s.substr(i)); sort(v.begin(), v.end()); long long c = v[0].size();
 for (size_t i = 1; i < v.size(); i++) { size_t k = 0; while (k < v[i].size() && k < v[i - 1].size() && v[i][k] == v[i - 1][k]) k++; c += v[i].size() - k; } cout << c; }
