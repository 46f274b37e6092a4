#include <bits/stdc++.h>
using namespace std;
int main() { int n; scanf("%d", &n); multiset<int> s; while (n--) { int x; scanf("%d", &x); s.insert(x); } while (*s.begin() != *s.rbegin()) { int x = *s.rbegin(); s.erase(prev(s.end())); int m = *s.begin(); s.insert(x % m ? x % m : m); } printf("%d\n", *s.begin()); }
