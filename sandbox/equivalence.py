"""The same programs give the same verdicts on every backend, however often and however busy the machine.

Belongs here: two hundred programs with what becomes of each, and the comparison. Does not belong here: any backend.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.runner import Job, Sandbox
from sandbox.verdicts import Limits, Outcome, Verdict

LIMITS = Limits(
    cpu_seconds=1.0, wall_seconds=1.0, memory_mb=128, output_bytes=100_000, processes=16, disk_mb=8, files=200
)
KINDS = ("accepted", "wrong", "slow", "crashing", "greedy")
VARIANTS = 10
INPUT = b"1000\n"


@dataclass(frozen=True)
class Program:
    """A program that reads INPUT, and what must become of it; `stdout` and `exit_code` where they are certain."""

    name: str
    language: str
    source: str
    outcome: Outcome
    stdout: bytes | None = None
    exit_code: int | None = None


_ENDLESS = {
    "python": ("while True: pass", "import time\ntime.sleep(1000)", "n = 0\nwhile True: n += 1",
               "def f(n): return f(n - 1) + f(n - 2) if n > 1 else 1\nf(90)",
               "import os, time\nfor _ in range(3):\n    if os.fork() == 0:\n        while True: pass\ntime.sleep(1000)"),
    "cpp": ("int main() { for (volatile long i = 0;; i++) {} }", "#include <unistd.h>\nint main() { for (;;) pause(); }",
            "#include <vector>\nint main() { std::vector<int> v(1000); for (volatile int i = 0;; i++) v[i % 1000]++; }",
            "long f(int n) { return n > 1 ? f(n - 1) + f(n - 2) : 1; }\nint main() { return f(90) == 1; }",
            "#include <unistd.h>\nint main() { if (fork() == 0) for (volatile long i = 0;; i++) {} for (;;) pause(); }"),
    "javascript": ("while (true) {}", "setInterval(() => {}, 1000)", "let n = 0; for (;;) n++",
                   "const f = n => n > 1 ? f(n - 1) + f(n - 2) : 1; f(90)",
                   "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)"),
    "bash": ("while :; do :; done", "sleep 1000", "for ((i = 0; ; i++)); do :; done", "read x < <(sleep 1000)",
             "(while :; do :; done) & sleep 1000"),
}  # fmt: skip
_HUNGRY = {
    Outcome.MEMORY_LIMIT: {
        "python": "hoard = []\nwhile True: hoard.append(bytearray(1 << 20))",
        "cpp": "#include <cstdlib>\n#include <cstring>\nint main() { for (;;) memset(malloc(1 << 20), 1, 1 << 20); }",
        "javascript": "const hoard = []; for (;;) hoard.push(Buffer.alloc(1 << 20, 1))",
        "bash": "tail /dev/zero",  # which looks for the end of a line
    },
    Outcome.OUTPUT_LIMIT: {
        "python": "while True: print('y' * 100)",
        "cpp": "#include <cstdio>\nint main() { for (;;) puts(\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"); }",
        "javascript": "const fs = require('fs'); for (;;) fs.writeSync(1, 'y'.repeat(1000))",
        "bash": "yes",
    },
}  # fmt: skip
_FILLING = {
    "python": "with open('a', 'wb') as file:\n    while True: file.write(b'y' * 65536)",
    "cpp": "#include <cstdio>\nint main() { FILE *f = fopen(\"a\", \"w\"); for (;;) fputs(\"yyyyyyyyyyyyyyyyyyyyyyyy\", f); }",
    "javascript": "const fs = require('fs'); const f = fs.openSync('a', 'w'); for (;;) fs.writeSync(f, 'y'.repeat(65536))",
    "bash": "yes > a",
}  # fmt: skip


def programs() -> list[Program]:
    """Two hundred: four languages, five kinds, ten variants."""
    return [
        _program(language, kind, variant)
        for language in ("python", "cpp", "javascript", "bash")
        for kind in KINDS
        for variant in range(VARIANTS)
    ]


def share(every: int) -> list[Program]:
    """One in `every` of the programs; all languages, kinds and variants take their turn."""
    return [program for at, program in enumerate(programs()) if at % every == (at // VARIANTS) % every]


def _program(language: str, kind: str, variant: int) -> Program:
    name = f"{language}-{kind}-{variant}"
    total = b"%d\n" % (1000 * (variant + 1))
    if kind == "accepted":
        return Program(name, language, _multiply(language, variant + 1), Outcome.OK, total, 0)
    if kind == "wrong":
        if variant % 2:
            return Program(name, language, _exit(language, variant), Outcome.WRONG_EXIT, None, variant)
        return Program(
            name, language, _multiply(language, variant + 11), Outcome.OK, b"%d\n" % (1000 * (variant + 11)), 0
        )
    if kind == "slow":
        text = _ENDLESS[language][variant % 5]
        return Program(name, language, _varied(language, text, variant), Outcome.TIME_LIMIT)
    if kind == "crashing":
        return _crashing(name, language, variant)
    outcome = (Outcome.MEMORY_LIMIT, Outcome.OUTPUT_LIMIT, Outcome.OUTPUT_LIMIT)[variant % 3]
    text = _FILLING[language] if variant % 3 == 2 else _HUNGRY[outcome][language]
    return Program(name, language, _varied(language, text, variant), outcome)


def _varied(language: str, text: str, variant: int) -> str:
    mark = {"python": "#", "bash": "#"}.get(language, "//")
    return f"{mark} variant {variant}\n{text}\n"


def _multiply(language: str, factor: int) -> str:
    return {
        "python": f"print(int(input()) * {factor})",
        "cpp": f"#include <iostream>\nint main() {{ long n; std::cin >> n; std::cout << n * {factor} << std::endl; }}",
        "javascript": f"console.log(parseInt(require('fs').readFileSync(0, 'utf8')) * {factor})",
        "bash": f"read -r n; echo $((n * {factor}))",
    }[language]


def _exit(language: str, code: int) -> str:
    return {
        "python": f"import sys\nsys.exit({code})",
        "cpp": f"int main() {{ return {code}; }}",
        "javascript": f"process.exit({code})",
        "bash": f"exit {code}",
    }[language]


def _crashing(name: str, language: str, variant: int) -> Program:
    wrong, refused = Outcome.WRONG_EXIT, Outcome.COMPILE_ERROR
    cases: dict[str, tuple[tuple[str, Outcome, int | None], ...]] = {
        "python": (
            ("1 / 0", wrong, 1),
            ("import os\nos.kill(os.getpid(), 11)", wrong, -11),
            ("import os\nos.abort()", wrong, -6),
            ("raise SystemExit('no')", wrong, 1),
            ("def f(): return f()\nf()", wrong, 1),
            ("import nothing_of_that_name", wrong, 1),
            ("import os\nos._exit(99)", wrong, 99),
            ("def broken(:", refused, None),
            ("import os\nwhile True:\n    if os.fork() == 0:\n        os.read(os.pipe()[0], 1)", wrong, 1),
            ("open('/nowhere')", wrong, 1),
        ),
        "cpp": (
            ("int main() { volatile int *p = nullptr; return *p; }", wrong, -11),
            ("#include <cstdlib>\nint main() { abort(); }", wrong, -6),
            ("int main() { volatile int z = 0; volatile int r = 10 / z; return r; }", wrong, -8),
            ("#include <stdexcept>\nint main() { throw std::runtime_error(\"no\"); }", wrong, -6),
            ("int main() { return x; }", refused, None),
            ("#include <vector>\nint main() { std::vector<int> v; return v.at(5); }", wrong, -6),
            ("int main() { __builtin_trap(); }", wrong, -4),
            ("#include <signal.h>\nint main() { raise(SIGTERM); }", wrong, -15),
            ("int main( {", refused, None),
            ("#include <nothing.h>\nint main() {}", refused, None),
        ),
        "javascript": (
            ("throw new Error('no')", wrong, 1),
            ("null.x", wrong, 1),
            ("process.kill(process.pid, 'SIGSEGV'); for (;;) {}", wrong, -11),
            ("process.abort()", wrong, -6),
            ("process.exit(77)", wrong, 77),
            ("function broken( {", wrong, 1),
            ("require('nothing')", wrong, 1),
            ("Promise.reject(new Error('no'))", wrong, 1),
            ("JSON.parse('{')", wrong, 1),
            ("require('fs').readFileSync('/nowhere')", wrong, 1),
        ),
        "bash": (
            ("false", wrong, 1),
            ("kill -SEGV $$", wrong, -11),
            ("nothing_of_that_name", wrong, 127),
            ("set -u; echo $nothing", wrong, 1),
            ("exit 255", wrong, 255),
            ("if then", wrong, 2),
            ("cat /nowhere", wrong, 1),
            ("kill -ABRT $$", wrong, -6),
            ("/etc/passwd", wrong, 126),
            ("set -e; [ 1 = 2 ]; echo never", wrong, 1),
        ),
    }  # fmt: skip
    text, outcome, code = cases[language][variant]
    return Program(name, language, text, outcome, None, code)


def differences(program: Program, verdict: Verdict) -> str:
    """What is not as it must be; empty where all is."""
    found = []
    if verdict.outcome != program.outcome:
        found.append(f"{verdict.outcome} instead of {program.outcome} ({verdict.detail})")
    elif program.exit_code is not None and verdict.exit_code != program.exit_code:
        found.append(f"exit code {verdict.exit_code} instead of {program.exit_code}")
    elif program.stdout is not None and verdict.stdout != program.stdout:
        found.append(f"output {verdict.stdout[:40]!r} instead of {program.stdout!r}")
    return "; ".join(found)


def one_round(sandbox: Sandbox, wanted: Sequence[Program]) -> dict[str, str]:
    """Run all programs once: name to what is wrong with the verdict (empty where nothing is)."""
    jobs = [Job(program.source, program.language, [INPUT], LIMITS) for program in wanted]
    found = {}
    for position, verdict in sandbox.run_many(jobs):
        found[wanted[position].name] = differences(wanted[position], verdict)
    return found


def compare(sandboxes: Mapping[str, Sandbox], wanted: Sequence[Program], rounds: int, loaded: bool) -> dict[str, Any]:
    """Rounds on each backend in turn: `{"programs", "rounds", "loaded", "runs", "wrong": [[backend, round, name, text]]}`.

    A program's verdict is certain, so verdicts that are right everywhere are the same everywhere. `loaded` keeps every
    core busy meanwhile.
    """
    wrong: list[tuple[str, int, str, str]] = []
    runs = 0
    with _load() if loaded else contextlib.nullcontext():
        for number in range(rounds):
            for name, sandbox in sandboxes.items():
                found = one_round(sandbox, wanted)
                runs += len(found)
                missing = sorted({program.name for program in wanted} - set(found))
                wrong += [(name, number, program, text) for program, text in found.items() if text]
                wrong += [(name, number, program, "no verdict") for program in missing]
    return {
        "programs": len(wanted), "rounds": rounds, "loaded": loaded, "backends": list(sandboxes), "runs": runs, "wrong": wrong
    }  # fmt: skip


@contextlib.contextmanager
def _load() -> Iterator[None]:
    """A busy process for every core."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()
