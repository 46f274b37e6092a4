"""Cases that reach for other processes: the agent, its helper, the host's.

Belongs here: environment, memory, tracing, signals, forged verdicts. Does not belong here: what is left behind
(`remains.py`). System call numbers are those of x86-64.
"""

from __future__ import annotations

from sandbox.abuse.case import ALIVE, Case, Seen, bomb, python, refused, report, said
from sandbox.verdicts import Outcome


def _forged(seen: Seen) -> tuple[bool, str]:
    first, second = seen.verdicts
    if first.outcome != Outcome.WRONG_EXIT or first.exit_code != 3:
        return False, f"the program exited with 3; the verdict says {said(first)}, exit code {first.exit_code}"
    if second.outcome != Outcome.OK or second.stdout.strip() != ALIVE.encode():
        return False, f"the input after it: {said(second)}, {second.stdout[:80]!r}"
    written = first.stderr.decode(errors="replace").strip().splitlines()[-1:]
    return bool(written), f"verdict is exit code 3 all the same; the next input's is true as well; it wrote: {written}"


def _signals(seen: Seen) -> tuple[bool, str]:
    found = report(seen.verdicts[0])
    if found is None:
        return False, f"no report: {said(seen.verdicts[0])}"
    if found["could"] or not seen.host["victim_alive"]:
        return False, f"could: {found['could'][:5]}; the host's process lives: {seen.host['victim_alive']}"
    served = seen.verdicts[1].outcome == Outcome.OK and ALIVE.encode() in seen.verdicts[1].stdout
    return served and len(found["refused"]) >= 8, (
        f"{len(found['refused'])} signals refused, the host's process and the agent live on"
    )


def _nothing_secret(seen: Seen) -> tuple[bool, str]:
    found = report(seen.verdicts[-1])
    if found is None or seen.verdicts[-1].outcome != Outcome.OK:
        return False, f"no report: {said(seen.verdicts[-1])}"
    text = f"looked at {found['looked']} places"
    return not found["could"] and found["looked"] > 0, text + (f", found {found['could']}" if found["could"] else "")


CASES = [
    Case(
        "parent_environment",
        "the environment of the process that asked for the run, and of any other",
        python(
            """
looked = 0
could += [name for name, value in os.environ.items() if ask["token"] in name + value]
for name in os.listdir("/proc"):
    for file in ("environ", "cmdline"):
        try:
            with open(f"/proc/{name}/{file}", "rb") as opened:
                if ask["token"].encode() in opened.read():
                    could.append(f"/proc/{name}/{file}")
        except OSError:
            pass
        looked += name.isdigit()
done(looked=looked)
"""
        ),
        _nothing_secret,
        harmless=True,
    ),
    Case(
        "parent_memory",
        "the memory of the agent, the zygote and the host's processes",
        python(
            """
class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
local = ctypes.create_string_buffer(64)
for pid in sorted({1, os.getppid(), ask["host"], ask["victim"]}):
    attempt(f"mem of {pid}", lambda: open(f"/proc/{pid}/mem", "rb+").close())
    attempt(f"syscall of {pid}", lambda: open(f"/proc/{pid}/syscall").read())
    attempt(f"map_files of {pid}", lambda: os.listdir(f"/proc/{pid}/map_files"))
    here, there = Piece(ctypes.addressof(local), 64), Piece(0x400000, 64)
    for number, name in ((310, "read"), (311, "write")):
        attempt(f"process_vm_{name} of {pid}", lambda: call(number, pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0))
done()
"""
        ),
        refused(15),
    ),
    Case(
        "ptrace",
        "tracing the agent, the zygote and the host's processes",
        python(
            """
ATTACH, SEIZE, DETACH = 16, 0x4206, 17
for pid in sorted({1, os.getppid(), ask["victim"]}):
    for request in (ATTACH, SEIZE):
        def trace():
            call(101, request, pid, 0, 0)
            call(101, DETACH, pid, 0, 0)
        attempt(f"ptrace {request} of {pid}", trace)
    attempt(f"pidfd_getfd of {pid}", lambda: call(438, call(434, pid, 0), 0, 0))
    attempt(f"kcmp with {pid}", lambda: call(312, os.getpid(), pid, 0, 0, 0))
done()
"""
        ),
        refused(8),
    ),
    Case(
        "signals",
        "signals to the host's processes, the agent and the zygote",
        bomb("""
import signal
for pid in sorted({1, os.getppid(), ask["victim"]}):
    for number in (0, signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
        attempt(f"signal {number} to {pid}", lambda: os.kill(pid, number))
    attempt(f"pidfd signal to {pid}", lambda: signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGKILL))
done()
"""),
        _signals,
        turns=2,
    ),
    Case(
        "signal_everybody",
        "SIGKILL to all that it may reach, again and again",
        bomb("""
import signal
for _ in range(200):
    try:
        os.kill(-1, signal.SIGKILL)
    except OSError as error:
        refused.append("kill -1: " + errno.errorcode[error.errno])
refused += ["kill -1: reached nobody but its own"] * (200 - len(refused))
done()
"""),
        _signals,
        turns=2,
    ),
    Case(
        "forged_frames",
        "verdicts of its own making, into every descriptor it can get",
        bomb("""
def part(data):
    return len(data).to_bytes(4, "big") + data
header = json.dumps({"index": 0, "outcome": "ok", "detail": "", "exit_code": 0, "cpu_seconds": 0, "wall_seconds": 0,
                     "peak_memory_mb": 0, "truncated": False}).encode()
body = bytes([6]) + part(header) + part(b"FORGED") + part(b"")
frame = part(body)
report = json.dumps({"status": 0, "cpu": 0, "maxrss": 0, "trouble": ""}).encode()
written = []
for fd in range(1024):
    for data in (frame, report):
        try:
            os.write(fd, data)
            written.append(fd)
        except OSError:
            pass
for pid in ("self", "1", str(os.getppid())):
    for fd in range(12):
        try:
            with open(f"/proc/{pid}/fd/{fd}", "wb", buffering=0) as file:
                file.write(frame)
                written.append(f"/proc/{pid}/fd/{fd}")
        except OSError:
            pass
print("\\nframes into", sorted(map(str, set(written))), file=sys.stderr, flush=True)
os._exit(3)
"""),
        _forged,
        turns=2,
    ),
]
