"""Running programs, on each backend: outcomes, order, independence of runs, faithfulness of the forked interpreter."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox import Job, Limits, Outcome, Sandbox, SandboxInputError, Verdict
from tests.sandbox.conftest import only

QUICK = Limits(cpu_seconds=0.5, wall_seconds=0.5, memory_mb=128, output_bytes=100_000, disk_mb=8, files=200)

DOUBLE = {
    "python": "print(int(input()) * 2)",
    "cpp": '#include <cstdio>\nint main() { int a; scanf("%d", &a); printf("%d\\n", a * 2); }',
    "javascript": "console.log(2 * parseInt(require('fs').readFileSync('/dev/stdin', 'utf8')))",
    "bash": "read a; echo $((a * 2))",
}

# (language, program, outcome, what the detail or stderr must say)
ENDINGS = [
    ("python", "import sys; sys.exit(3)", Outcome.WRONG_EXIT, "exit code 3"),
    ("python", "1 / 0", Outcome.WRONG_EXIT, "exit code 1"),
    ("python", "import os; os.kill(os.getpid(), 11)", Outcome.WRONG_EXIT, "signal 11"),
    ("python", "while True: pass", Outcome.TIME_LIMIT, "CPU"),
    ("python", "import time; time.sleep(60)", Outcome.TIME_LIMIT, "blocked"),
    ("python", "x = bytearray(300 << 20)\nx[::4096] = b'1' * (300 << 8)", Outcome.MEMORY_LIMIT, "128 MB"),
    ("python", "while True: print('y' * 1000)", Outcome.OUTPUT_LIMIT, "stdout"),
    ("python", "import sys\nwhile True: sys.stderr.write('y' * 1000)", Outcome.OUTPUT_LIMIT, "stderr"),
    ("python", "f = open('a', 'wb')\nwhile True: f.write(b'y' * 65536)", Outcome.OUTPUT_LIMIT, "8 MB"),
    ("python", "for i in range(10**6): open(f'{i}', 'w').close()", Outcome.OUTPUT_LIMIT, "200 files"),
    ("python", "def broken(:", Outcome.COMPILE_ERROR, "SyntaxError"),
    ("python", "x = " + "(" * 5000 + ")" * 5000, Outcome.COMPILE_ERROR, "too many nested parentheses"),
    ("cpp", "int main() { return 7; }", Outcome.WRONG_EXIT, "exit code 7"),
    ("cpp", "int main() { for (volatile long i = 0;; i++); }", Outcome.TIME_LIMIT, "CPU"),
    ("cpp", "int main() { volatile int *p = nullptr; return *p; }", Outcome.WRONG_EXIT, "signal 11"),
    ("cpp", "int main() { return x; }", Outcome.COMPILE_ERROR, "not declared"),
    ("cpp", '#include "/dev/zero"\nint main() {}', Outcome.COMPILE_ERROR, "of the compiler"),
    ("javascript", "process.exit(2)", Outcome.WRONG_EXIT, "exit code 2"),
    ("bash", "sleep 60", Outcome.TIME_LIMIT, "blocked"),
]


@pytest.mark.parametrize("language", DOUBLE)
def test_each_language_answers_each_input_in_order(room: Sandbox, language: str) -> None:
    verdicts = list(room.run(DOUBLE[language], language, (f"{n}\n".encode() for n in range(3))))
    assert [verdict.stdout.split() for verdict in verdicts] == [[b"0"], [b"2"], [b"4"]]
    for index, verdict in enumerate(verdicts):
        assert (verdict.input_index, verdict.outcome, verdict.exit_code) == (index, Outcome.OK, 0), verdict
        assert verdict.cpu_seconds > 0 and verdict.wall_seconds > 0 and verdict.peak_memory_mb > 0
        assert verdict.image == room.backend.image and verdict.image and not verdict.truncated


@pytest.mark.parametrize(("language", "program", "outcome", "said"), ENDINGS, ids=lambda value: str(value)[:24])
def test_each_outcome(room: Sandbox, language: str, program: str, outcome: Outcome, said: str) -> None:
    limits = Limits(**{**QUICK.as_dict(), "compile_seconds": 5, "compile_memory_mb": 256})
    verdict = only(room.run(program, language, [b""], limits))
    assert verdict.outcome is outcome, verdict
    assert said in verdict.detail or said.encode() in verdict.stderr, verdict
    assert verdict.truncated == (said in ("stdout", "stderr"))
    if verdict.truncated:
        assert len(verdict.stdout) <= QUICK.output_bytes and len(verdict.stderr) <= QUICK.output_bytes


def test_inputs_are_taken_when_asked_for_and_the_rest_is_not_run(room: Sandbox) -> None:
    taken: list[int] = []

    def inputs() -> Iterator[bytes]:
        for number in range(10_000):
            taken.append(number)
            yield str(number).encode()

    verdicts = room.run(DOUBLE["python"], "python", inputs())
    assert taken == []
    assert [next(verdicts).stdout for _ in range(3)] == [b"0\n", b"2\n", b"4\n"]
    verdicts.close()  # type: ignore[attr-defined]
    assert taken == [0, 1, 2]


def test_a_long_source_is_compiled_apart(room: Sandbox) -> None:
    """Under the compiler's own limits, which the first run of a short one shares."""
    filler = "# " + "x" * 20_000 + "\n"
    assert [v.stdout for v in room.run(filler + DOUBLE["python"], "python", [b"1", b"2"])] == [b"2\n", b"4\n"]
    for source in ("def broken(:", filler + "def broken(:"):
        outcomes = [v.outcome for v in room.run(source, "python", [b"1", b"2"])]
        assert outcomes == [Outcome.COMPILE_ERROR] * 2


def test_a_failing_run_leaves_the_next_alone(room: Sandbox) -> None:
    program = """
import os, sys, time, subprocess, signal
if input() == "bad":
    for place in ("/tmp", "/dev/shm"):
        os.chdir(place)
        for depth in range(120):
            os.mkdir("d"); os.chmod("d", 0o700); os.chdir("d")
        os.mkfifo("fifo"); os.symlink("/etc/passwd", "link")
        os.mkdir("shut"); open("shut/x", "w").close(); os.chmod("shut", 0)
    for _ in range(5):
        if os.fork() == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if os.fork() == 0:
                time.sleep(100)
            os._exit(0)
    import ctypes
    libc = ctypes.CDLL(None)
    assert libc.shmget(77, 4096, 0o1666) >= 0 and libc.semget(77, 1, 0o1666) >= 0 and libc.msgget(77, 0o1666) >= 0
    time.sleep(100)
print(os.listdir("/tmp"), os.listdir("/dev/shm"), end=" ")
print([line for kind in ("shm", "sem", "msg") for line in open("/proc/sysvipc/" + kind).readlines()[1:]], end=" ")
print(len([p for p in os.listdir("/proc") if p.isdigit()]))
"""
    verdicts = list(room.run(program, "python", [b"good", b"bad", b"good"], QUICK))
    assert [verdict.outcome for verdict in verdicts] == [Outcome.OK, Outcome.TIME_LIMIT, Outcome.OK], verdicts
    assert verdicts[2].stdout == verdicts[0].stdout
    assert verdicts[0].stdout.startswith(b"[] [] [] ")


def test_hidden_children_are_counted(room: Sandbox) -> None:
    """CPU time of children that nobody waits for, and memory of many processes that are small one by one."""
    busy = """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(4):
    if os.fork() == 0:
        until = time.process_time() + 0.3
        while time.process_time() < until: pass
        os._exit(0)
time.sleep(0.1)
while len([p for p in os.listdir("/proc") if p.isdigit()]) > 3: time.sleep(0.01)
"""
    limits = Limits(cpu_seconds=0.6, wall_seconds=5)
    assert only(room.run(busy, "python", [b""], limits)).outcome is Outcome.TIME_LIMIT
    greedy = """
import os, time
for _ in range(8):
    if os.fork() == 0:
        x = bytearray(40 << 20)
        x[::4096] = b"1" * (40 << 8)
        time.sleep(100)
time.sleep(100)
"""
    verdict = only(room.run(greedy, "python", [b""], Limits(cpu_seconds=5, wall_seconds=5, memory_mb=160)))
    assert verdict.outcome is Outcome.MEMORY_LIMIT, verdict


def test_processes_that_ended_as_nobodys_children_are_not_counted(room: Sandbox) -> None:
    orphans = "for i in $(seq 100); do (true &); sleep 0.01; done; echo done"
    verdict = only(room.run(orphans, "bash", [b""], Limits(cpu_seconds=5, wall_seconds=5, processes=24)))
    assert (verdict.outcome, verdict.stdout) == (Outcome.OK, b"done\n"), verdict


def test_cpu_time_decides_not_the_clock(room: Sandbox) -> None:
    """Half a second of work passes a limit of blocked time of 0.2 s however long the machine takes for it."""
    program = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass\nprint('done')"
    verdict = only(room.run(program, "python", [b""], Limits(cpu_seconds=5, wall_seconds=0.2)))
    assert verdict.outcome is Outcome.OK and verdict.cpu_seconds >= 0.5, verdict


ENDS = [
    "print('a', end='')",
    "import sys; sys.exit('out of words')",
    "import sys; sys.exit(True)",
    "raise SystemExit(258)",
    "import atexit; atexit.register(print, 'last'); print('first')",
    "f = open(1, 'w', closefd=False); f.write('kept in a buffer')",
    "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.05), print('thread'))).start()\nprint('main')",
    "class A:\n    def __del__(self): print('gone')\na = A()",
    "import sys; sys.stdout = open(1, 'wb'); sys.stdout.write(b'raw')",
    "def f():\n    raise ValueError('é')\nf()",
    "raise KeyboardInterrupt",
    "import os; print('lost'); os._exit(4)",
    "print(__name__, __file__.split('/')[-1], __import__('sys').argv[0].split('/')[-1])",
    "import sys; print(sys.stdin.encoding, sys.stdout.encoding, sys.stdin.read())",
    "import pickle\nclass P: pass\nprint(type(pickle.loads(pickle.dumps(P()))).__name__)",
    "import sys; sys.setrecursionlimit(10**6)\ndef f(n): return 0 if n == 0 else 1 + f(n - 1)\nprint(f(20000))",
    "from multiprocessing import Pool\ndef f(x): return x * x\nif __name__ == '__main__':\n    print(Pool(2).map(f, [1, 2]))",
    "import sys\nsys.excepthook = lambda *told: 1 / 0\nprint('kept')\nraise ValueError('first')",
    "import sys\nsys.excepthook = lambda *told: sys.exit(3)\n1 / 0",
    "import sys; print('kept'); sys.stderr.close(); sys.exit('said to nobody')",
    "import sys\nclass Out:\n    def write(self, text): sys.__stdout__.write(text)\n    def flush(self): pass\n"
    "sys.stdout = Out()\nprint('own')",
    "import sys; print([ascii(line) for line in sys.stdin], sys.stdout.errors)",
    "import subprocess, sys; print(subprocess.run(['echo', 'hi'], capture_output=True).stdout, sys.gettrace())",
]


@pytest.mark.parametrize("program", ENDS)
def test_a_forked_interpreter_is_like_a_fresh_one(room: Sandbox, program: str, tmp_path: Path) -> None:
    """Output, errors and exit code are those of `python3 main.py`."""
    main = tmp_path / "main.py"
    main.write_text(program)
    data = "some input é\r\nin three\rlines, not all UTF-8: ".encode() + b"\xff"
    fresh = subprocess.run(
        [sys.executable, str(main)],
        input=data,
        capture_output=True,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        check=False,
    )
    verdict = only(room.run(program, "python", [data]))
    assert verdict.stdout == fresh.stdout
    assert verdict.stderr.replace(b"/box/main.py", str(main).encode()) == fresh.stderr
    assert verdict.exit_code == (130 if fresh.returncode == -2 else fresh.returncode)


def test_programs_see_no_trace_of_the_agent(room: Sandbox) -> None:
    program = """
import gc, os, sys
print(sorted(os.listdir("/proc/self/fd"))[:3], len(os.listdir("/proc/self/fd")))
print([name for name in sys.modules if "sandbox" in name])
print(sorted(os.environ))
try:
    print(os.listdir("/proc/1/fd"))
except PermissionError:
    print("refused")
"""
    fds, modules, environment, agent = only(room.run(program, "python", [b""])).stdout.decode().splitlines()
    assert fds == "['0', '1', '2'] 4"  # three streams and the listing itself
    assert modules == "[]" and agent == "refused"
    assert set(eval(environment)) <= {"HOME", "LANG", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED"}


@pytest.fixture(scope="module")
def echo(room: Sandbox) -> Iterator[tuple[list[bytes], Iterator[Verdict]]]:
    """One submission that gives back its input on both streams, and the queue its inputs are taken from."""
    queue: list[bytes] = []
    program = "import sys; d = sys.stdin.buffer.read(); sys.stdout.buffer.write(d); sys.stderr.buffer.write(d[::-1])"
    verdicts = room.run(program, "python", iter(queue.pop, None))
    yield queue, verdicts
    verdicts.close()  # type: ignore[attr-defined]


@given(data=st.binary(max_size=3000))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_travel_through_a_real_worker(echo: tuple[list[bytes], Iterator[Verdict]], data: bytes) -> None:
    queue, verdicts = echo
    queue.append(data)
    verdict = next(verdicts)
    assert (verdict.outcome, verdict.stdout, verdict.stderr) == (Outcome.OK, data, data[::-1])


def test_large_inputs_and_outputs(room: Sandbox) -> None:
    data = bytes(range(256)) * (6 << 12)
    verdict = only(room.run("import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())", "python", [data]))
    assert verdict.outcome is Outcome.OK and verdict.stdout == data


@given(source=st.binary(min_size=1, max_size=200).filter(lambda text: text.strip() and b"\0" not in text))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_source_gets_a_verdict(room: Sandbox, source: bytes) -> None:
    for verdict in room.run(source, "python", [b"", b""], QUICK):
        assert verdict.outcome is not Outcome.SANDBOX_ERROR, verdict


@pytest.mark.parametrize(
    ("program", "language", "named"),
    [
        ("print(1)", "cobol", "language 'cobol'"),
        ("", "python", "program is empty"),
        (" \n", "python", "program is empty"),
        (b"\x7fELF\0\0", "python", "program is binary"),
        ("#" * (50 << 20), "python", "program has 52428800 bytes"),
    ],
    ids=["language", "empty", "blank", "binary", "50 MB"],
)
def test_what_cannot_be_run_is_refused_at_once(room: Sandbox, program: str, language: str, named: str) -> None:
    with pytest.raises(SandboxInputError, match=named):
        room.run(program, language, [b""])


def test_an_input_too_large_is_refused(room: Sandbox) -> None:
    with pytest.raises(SandboxInputError, match="input 1 has"):
        list(room.run(DOUBLE["python"], "python", [b"1", bytes((64 << 20) + 1)]))


def test_limits_beyond_the_machine_are_refused(room: Sandbox) -> None:
    with pytest.raises(SandboxInputError, match="memory_mb is 10000000"):
        room.run("print(1)", "python", [b""], Limits(memory_mb=10_000_000))


def test_many_submissions_keep_their_own_order_and_stop_early(room: Sandbox) -> None:
    ok = Job(DOUBLE["python"], "python", [b"1", b"2"])
    stops = Job("import sys; sys.exit(1)", "python", [b"1", b"2"], stop_after=lambda v: v.outcome is not Outcome.OK)
    got: dict[int, list[tuple[int, Outcome]]] = {}
    for position, verdict in room.run_many(iter([ok, stops, ok]), parallel=2):
        got.setdefault(position, []).append((verdict.input_index, verdict.outcome))
    both = [(0, Outcome.OK), (1, Outcome.OK)]
    assert got == {0: both, 1: [(0, Outcome.WRONG_EXIT)], 2: both}


def test_a_queue_that_is_left_ends_its_threads(room: Sandbox) -> None:
    before = threading.active_count()
    verdicts = room.run_many(Job(DOUBLE["python"], "python", [b"1"] * 10_000) for _ in range(10_000))
    assert next(verdicts)[1].outcome is Outcome.OK
    verdicts.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_an_error_in_a_queue_reaches_the_caller(room: Sandbox) -> None:
    with pytest.raises(SandboxInputError, match="cobol"):
        list(room.run_many([Job("x", "cobol", [b""])]))


def test_nothing_is_left_behind(room: Sandbox) -> None:
    until = time.monotonic() + 20
    while (left := room.backend.leftovers()) and time.monotonic() < until:
        time.sleep(0.1)
    assert left == []
