#include <bits/stdc++.h>
using namespace std;
int main() { int n, W; cin >> n >> W; vector<int> light(30001, 1 << 20); light[0] = 0; while (n--) { int w, v; cin >> w >> v; for (int x = 30000; x >= v; x--) light[x] = min(light[x], light[x - v] + w); } int b = 30000; while (light[b] > W) b--; cout << b << "\n"; }
