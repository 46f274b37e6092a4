#include <bits/stdc++.h>
using namespace std;
int main() {
    int n; cin >> n; int best = INT_MIN; int cur = 0; bool first = true;
    while (n--) { int x; cin >> x; cur = first || cur < 0 ? x : (int)((unsigned)cur + (unsigned)x); first = false; best = max(best, cur); }
    cout << best << endl;
}
