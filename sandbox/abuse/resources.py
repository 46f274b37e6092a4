"""Cases that take more than they may: processes, memory, output, time, space.

Belongs here: programs against limits. Does not belong here: ways out (`network.py`, `reach.py`, `processes.py`), what is
left behind (`remains.py`).
"""

from __future__ import annotations

from sandbox.abuse.case import ALIVE, QUICK, WALKS, Case, Judge, Seen, bomb, ended, python, refused, report, said
from sandbox.verdicts import Outcome, Verdict

ANY_STOP = (Outcome.OK, Outcome.WRONG_EXIT, Outcome.TIME_LIMIT, Outcome.MEMORY_LIMIT, Outcome.OUTPUT_LIMIT)


def _counted(what: str, bound: int) -> Judge:
    def judge(seen: Seen) -> tuple[bool, str]:
        found = report(seen.verdicts[0])
        if found is None:
            return False, f"no report: {said(seen.verdicts[0])}"
        if seen.verdicts[1].outcome != Outcome.OK or ALIVE.encode() not in seen.verdicts[1].stdout:
            return False, f"the next input ended as {said(seen.verdicts[1])}"
        fine = 0 < found["count"] <= bound and bool(found["told"])
        return fine, f"{found['count']} {what} (at most {bound}), then {found['told']}; the next input was served"

    return judge


def _memory(verdict: Verdict) -> str | None:
    over = verdict.peak_memory_mb > 2.5 * QUICK.memory_mb
    return f"took {verdict.peak_memory_mb:.0f} MB of {QUICK.memory_mb}" if over else None


def _output(verdict: Verdict) -> str | None:
    size = max(len(verdict.stdout), len(verdict.stderr))
    if size > QUICK.output_bytes:
        return f"{size} bytes came out"
    return None if verdict.truncated else "the verdict does not say that output was cut"


def _time(verdict: Verdict) -> str | None:
    return f"ran {verdict.cpu_seconds:.1f} s" if verdict.cpu_seconds > 2 * QUICK.cpu_seconds + 2 else None


def _sleeper(verdict: Verdict) -> str | None:
    return f"used {verdict.cpu_seconds:.1f} s of CPU" if verdict.cpu_seconds > 1 else None


CASES = [
    Case(
        "fork_bomb",
        "processes that fork without end",
        f"""read -r line
case "$line" in *'"turn": 0'*) ;; *) echo "{ALIVE}"; exit 0;; esac
bomb() {{ bomb | bomb & }}
bomb
sleep 1
exit 7
""",
        ended(*ANY_STOP),
        language="bash",
        turns=2,
    ),
    Case(
        "process_count",
        "as many children as the kernel gives",
        bomb("""
count, told = 0, ""
while count < 5000:
    try:
        pid = os.fork()
    except OSError as error:
        told = errno.errorcode[error.errno]
        break
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    count += 1
print(json.dumps({"count": count, "told": told}), flush=True)
"""),
        _counted("processes", QUICK.processes),
        turns=2,
    ),
    Case(
        "thread_count",
        "as many threads as the kernel gives",
        bomb("""
import threading
count, told = 0, ""
while count < 5000:
    try:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    except (RuntimeError, OSError) as error:
        told = type(error).__name__
        break
    count += 1
print(json.dumps({"count": count, "told": told}), flush=True)
os._exit(0)
"""),
        _counted("threads", QUICK.processes),
        turns=2,
    ),
    Case(
        "memory_one_process",
        "one process that takes memory without end",
        bomb("hoard = []\nwhile True:\n    hoard.append(bytearray(4 << 20))"),
        ended(Outcome.MEMORY_LIMIT, within=_memory),
        turns=2,
    ),
    Case(
        "memory_many_processes",
        "many processes, each below the limit, together far above it",
        bomb(
            # Not at once: how far it comes before the watch looks again would tell of the machine's load alone.
            "for _ in range(12):\n    if os.fork() == 0:\n        hoard = []\n        for _ in range(8):\n"
            "            hoard.append(os.urandom(4 << 20))\n            time.sleep(0.4)\n        time.sleep(60)\ntime.sleep(60)"
        ),
        ended(Outcome.MEMORY_LIMIT, within=_memory),
        turns=2,
    ),
    Case(
        "memory_in_files",
        "memory taken as anonymous files and shared mappings",
        bomb(
            "import mmap\nhoard = []\nwhile True:\n    piece = mmap.mmap(-1, 4 << 20)\n"
            "    piece.write(b'x' * (4 << 20))\n    hoard.append(piece)\n"
        ),
        ended(Outcome.MEMORY_LIMIT, Outcome.OUTPUT_LIMIT, Outcome.WRONG_EXIT, within=_memory),
        turns=2,
    ),
    Case(
        "endless_stdout",
        "output without end on stdout",
        bomb("while True:\n    os.write(1, b'x' * 65536)"),
        ended(Outcome.OUTPUT_LIMIT, within=_output),
        turns=2,
    ),
    Case(
        "endless_stderr",
        "output without end on stderr",
        bomb("while True:\n    os.write(2, b'x' * 65536)"),
        ended(Outcome.OUTPUT_LIMIT, within=_output),
        turns=2,
    ),
    Case(
        "stolen_output",
        "its own output taken back while it is being read, then no end",
        bomb("""
for _ in range(2):
    if os.fork() == 0:
        mine = os.open("/proc/self/fd/1", os.O_RDONLY | os.O_NONBLOCK)
        until = time.process_time() + 0.5
        while time.process_time() < until:
            os.write(1, b"x")
            try:
                os.read(mine, 1)
            except BlockingIOError:
                pass
        os._exit(0)
while True:
    time.sleep(3600)
"""),
        ended(Outcome.TIME_LIMIT, Outcome.OUTPUT_LIMIT, within=_time),
        turns=2,
    ),
    Case(
        "endless_loop",
        "a loop without end",
        bomb("while True:\n    pass"),
        ended(Outcome.TIME_LIMIT, within=_time),
        turns=2,
    ),
    Case(
        "endless_loop_in_children",
        "CPU time burnt by grandchildren that nobody waits for",
        bomb("""
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(4):
    if os.fork() == 0:
        if os.fork() == 0:
            while True:
                pass
        os._exit(0)
time.sleep(60)
"""),
        ended(Outcome.TIME_LIMIT, within=_time),
        turns=2,
    ),
    Case(
        "deaf_to_signals",
        "a loop without end that ignores every signal it may",
        bomb("""
import signal
for number in signal.valid_signals():
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    pass
"""),
        ended(Outcome.TIME_LIMIT, within=_time),
        turns=2,
    ),
    Case(
        "sleep",
        "a program that waits for ever",
        bomb("while True:\n    time.sleep(3600)"),
        ended(Outcome.TIME_LIMIT, within=_sleeper),
        turns=2,
    ),
    Case(
        "disk_filling",
        "every place that can be written, filled to its end",
        bomb("""
total = 0
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys")]
    name = os.path.join(folder, ask["token"])
    for number in range(4096):
        try:
            with open(name + str(number), "wb") as file:
                total += file.write(b"x" * (1 << 20))
        except OSError:
            break
time.sleep(30)
"""),
        ended(Outcome.OUTPUT_LIMIT, Outcome.MEMORY_LIMIT),
        turns=2,
        limits=WALKS,
    ),
    Case(
        "disk_filling_by_one_file",
        "one file as large as it will get, by writing and by allocation",
        bomb("""
told = []
for size in (1 << 40, 1 << 30, 1 << 28):
    try:
        with open(ask["token"], "wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        told.append(error.errno)
with open(ask["token"], "wb", buffering=0) as file:
    while True:
        if not file.write(b"x" * (1 << 20)):
            break
"""),
        ended(Outcome.OUTPUT_LIMIT, Outcome.WRONG_EXIT, Outcome.MEMORY_LIMIT),
        turns=2,
    ),
    Case(
        "inode_exhaustion",
        "empty files without end",
        bomb("""
number = 0
while True:
    open(str(number), "w").close()
    number += 1
"""),
        ended(Outcome.OUTPUT_LIMIT, Outcome.WRONG_EXIT),
        turns=2,
    ),
    Case(
        "open_files",
        "descriptors without end, pipes filled to the brim",
        bomb("""
count, told, held = 0, "", []
while count < 100000:
    try:
        held.append(os.pipe())
    except OSError as error:
        told = errno.errorcode[error.errno]
        break
    count += 1
print(json.dumps({"count": count, "told": told}), flush=True)
"""),
        _counted("pipes", 1024),
        turns=2,
    ),
    Case(
        "raise_own_limits",
        "higher resource limits, priorities, capabilities, a way out of the control group",
        python(
            """
import resource
for name in ("RLIMIT_CPU", "RLIMIT_NPROC", "RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_NOFILE"):
    _, hard = resource.getrlimit(getattr(resource, name))
    attempt(name, lambda: resource.setrlimit(getattr(resource, name), (hard + 1, hard + 1)))
attempt("nice", lambda: os.setpriority(os.PRIO_PROCESS, 0, -5))
attempt("real-time", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
attempt("setuid", lambda: os.setuid(0))
attempt("setgid", lambda: os.setgid(0))
attempt("setgroups", lambda: os.setgroups([0]))
header = (ctypes.c_uint32 * 2)(0x20080522, 0)
attempt("capset", lambda: call(126, ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)(255, 255, 0, 0, 0, 0))))
for folder, folders, files in os.walk("/sys/fs/cgroup"):
    for name in files:
        path = os.path.join(folder, name)
        attempt(path, lambda: os.close(os.open(path, os.O_WRONLY)))
    attempt("mkdir " + folder, lambda: os.mkdir(os.path.join(folder, ask["token"])))
done()
"""
        ),
        refused(12),
    ),
]
