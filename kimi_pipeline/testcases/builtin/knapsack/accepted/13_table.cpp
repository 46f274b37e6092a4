#include <bits/stdc++.h>
using namespace std;
int d[31][501];
int main() { int n, W; scanf("%d%d", &n, &W); for (int i = 1; i <= n; i++) { int w, v; scanf("%d%d", &w, &v); for (int c = 0; c <= W; c++) { d[i][c] = d[i - 1][c]; if (c >= w) d[i][c] = max(d[i][c], d[i - 1][c - w] + v); } } printf("%d\n", d[n][W]); }
