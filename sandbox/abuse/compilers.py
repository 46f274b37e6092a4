"""Cases against the compiler: sources that would run it, fill its memory, or have it read files.

Belongs here: sources that never become a program. Does not belong here: programs.
"""

from __future__ import annotations

from dataclasses import replace

from sandbox.abuse.case import QUICK, Case, Seen, compile_stopped, said
from sandbox.verdicts import Outcome


def _no_secret(seen: Seen) -> tuple[bool, str]:
    """Contained: the compiler did not get the file, and what the host planted stands nowhere in the verdict."""
    verdict = seen.verdicts[0]
    token = seen.host["secret"].encode()
    if token in verdict.stdout or token in verdict.stderr or token.decode() in verdict.detail:
        return False, "the host's file stands in the compiler's messages"
    text = " ".join((verdict.detail + " " + (verdict.stderr or verdict.stdout)[:160].decode(errors="replace")).split())
    return verdict.outcome == Outcome.COMPILE_ERROR, f"{said(verdict)[:60]}: {text[:160]}"


CASES = [
    Case(
        "compiler_device_zero",
        "a device included, which has no end",
        '#include "/dev/zero"\nint main(){}',
        compile_stopped,
        "cpp",
    ),
    Case(
        "compiler_device_random", "a device included", '#include "/dev/urandom"\nint main(){}', compile_stopped, "cpp"
    ),
    Case(
        "compiler_terminal",
        "the compiler's own input included, for it to wait on",
        '#include "/dev/stdin"\n#include "/proc/self/fd/0"\n#include "/dev/tty"\nint main(){ return none; }',
        compile_stopped,
        "cpp",
    ),
    Case(
        "compiler_templates",
        "templates without end",
        "template<int N, int M> struct A { static const int v = A<N - 1, M>::v + A<N - 1, M + 1>::v; };\n"
        "template<int M> struct A<0, M> { static const int v = M; };\n"
        "int main() { return A<899, 0>::v; }",
        compile_stopped,
        "cpp",
        limits=replace(QUICK, compile_memory_mb=256),
    ),
    Case(
        "compiler_constexpr",
        "a computation without end at compile time",
        "constexpr long f(long n) { long s = 0; for (long i = 0; i < n; i++) s += i ^ n; return s; }\n"
        "template<int N> struct B { static constexpr long v = f(250000 + N) + B<N - 1>::v; };\n"
        "template<> struct B<0> { static constexpr long v = 0; };\nint main() { return B<850>::v; }",
        compile_stopped,
        "cpp",
    ),
    Case(
        "compiler_macros",
        "macros that grow by doubling",
        "#define A0 x,x,x,x,x,x,x,x,x,x\n"
        + "\n".join(f"#define A{i + 1} A{i} A{i} A{i} A{i} A{i} A{i} A{i} A{i} A{i} A{i}" for i in range(9))
        + "\nint main() { int x; A9; }",
        compile_stopped,
        "cpp",
    ),
    Case(
        "compiler_large_program",
        "a program of gigabytes from one line",
        "int bomb[1 << 28] = {1};\nint main() { return bomb[5]; }",
        compile_stopped,
        "cpp",
    ),
    Case(
        "compiler_host_files",
        "files of the host included and assembled in",
        '#include "/etc/shadow"\n#include "/root/.bashrc"\n#include "/proc/1/environ"\n'
        'asm(".incbin \\"/etc/shadow\\"");\nint main() {}',
        _no_secret,
        "cpp",
        harmless=True,
    ),
    Case(
        "compiler_assembled_device",
        "a device assembled in",
        'asm(".incbin \\"/dev/zero\\"");\nint main(){}',
        compile_stopped,
        "cpp",
    ),
    Case(
        "compiler_python",
        "Python source that its compiler cannot bear",
        "x = " + "(" * 9000 + "1" + ")" * 9000,
        compile_stopped,
    ),
    Case(
        "compiler_python_constants",
        "Python source whose constants are folded to gigabytes",
        "def f():\n    return (" + "+".join(["'x' * 4096"] * 30_000) + ")\n" + "x = " + "-" * 300_000 + "1\n",
        compile_stopped,
    ),
]
