"""Cases that leave something behind: for the next input, the next submission, or whoever looks at the files.

Belongs here: daemons, files, shared memory. Does not belong here: limits (`resources.py`), ways out (`reach.py`).
"""

from __future__ import annotations

from sandbox.abuse.case import ALIVE, Case, Judge, Seen, bomb, python, refused, report, said
from sandbox.verdicts import Outcome

SEARCH = """
import re
def search():
    token, here = ask["token"], os.getpid()
    looked = 0
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == here:
            continue
        try:
            with open(f"/proc/{name}/comm") as file:
                comm = file.read()
            uid = os.stat(f"/proc/{name}").st_uid
        except OSError:
            continue
        looked += 1
        if token[:8] in comm or uid == os.getuid():
            could.append(f"process {name} {comm!r}")
    for place in (*ask["scratch"], "/box", "/dev/mqueue", "/run", "/var/tmp"):
        try:
            left = os.listdir(place)
        except OSError:
            continue
        looked += 1
        could.extend(os.path.join(place, name) for name in left if place in ask["scratch"] or token in name)
    for kind in ("shm", "sem", "msg"):
        try:
            with open("/proc/sysvipc/" + kind) as file:
                rows = file.readlines()[1:]
        except OSError:
            continue
        looked += 1
        could.extend(f"System V {kind} {row.split()[1]}" for row in rows)
    try:
        with open("/proc/net/unix") as file:
            could.extend("socket " + line.split()[-1] for line in file if token in line)
    except OSError:
        pass
    refused.extend(["left: nothing in a place"] * looked)
"""
"""Defines `search()`: whatever a run before has left, in every place that a program can look at."""


def _two_turns(leave: str) -> str:
    indented = "\n".join("    " + line for line in leave.strip("\n").splitlines())
    return python(SEARCH, f"if ask['turn']:\n    search()\nelse:\n{indented}\ndone()\n")


def _leaves(leave: str, name: str, about: str, at_least: int = 4) -> Case:
    """Leaves something; then the next input of the same worker looks for it, then a submission of its own."""
    return Case(name, about, _two_turns(leave), _left_nothing(at_least), turns=2, after=_AFTER, harmless=True)


def _left_nothing(at_least: int) -> Judge:
    check = refused(at_least, after=at_least)

    def judge(seen: Seen) -> tuple[bool, str]:
        first = seen.verdicts[0]
        made = report(first)
        if first.outcome != Outcome.OK or made is None or not made["could"]:
            return (
                False,
                f"the program left nothing to be found: {said(first)} {first.stderr[-200:].decode(errors='replace')}",
            )
        fine, text = check(seen)
        return fine, f"left {len(made['could'])} things; {text}"

    return judge


def _setuid(seen: Seen) -> tuple[bool, str]:
    found = report(seen.verdicts[0])
    if found is None:
        return False, f"no report: {said(seen.verdicts[0])}"
    return not found["could"] and len(found["refused"]) >= 2, (
        f"could: {found['could']}" if found["could"] else f"{'; '.join(found['refused'])}; files made: {found['made']}"
    )


_AFTER = python(SEARCH, "search()", "done()")

DAEMON = """
import signal
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        mark(ask["token"][:8])
        door = socket.socket(socket.AF_UNIX)
        door.bind(bytes(1) + ask["token"].encode())
        door.listen()
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        until = time.monotonic() + ask["daemon_seconds"]
        while time.monotonic() < until:
            try:
                with open(os.path.join(ask["scratch"][0], ask["token"] + "-beat"), "w") as file:
                    file.write(str(time.time()))
            except OSError:
                pass
            time.sleep(0.005)
    os._exit(0)
os.wait()
time.sleep(0.1)
could.append("a daemon")
"""

CASES = [
    _leaves(DAEMON, "orphan_daemon", "a daemon (double fork, setsid) that outlives its program", at_least=3),
    _leaves(
        """
for place in ask["scratch"]:
    deep = os.path.join(place, ask["token"])
    os.mkdir(deep)
    for name in ("plain", ".hidden", "new\\nline", "x" * 255, "-rf", os.fsdecode(bytes([255, 254]))):
        with open(os.path.join(deep, name), "w") as file:
            file.write(ask["token"])
        could.append(name)
    os.chmod(os.path.join(deep, "plain"), 0)
    os.chmod(deep, 0)
""",
        "files_for_the_next",
        "files with odd names and closed folders, for the next input and the next submission",
    ),
    _leaves(
        """
os.chdir(ask["scratch"][0])
for depth in range(200):
    os.mkdir("d" * 100)
    os.chdir("d" * 100)
could.append("200 folders deep, 20,000 characters of path")
""",
        "deep_folders",
        "folders deeper than any path may be long",
    ),
    _leaves(
        """
for name, target in (("file", ask["files"][0]), ("passwd", "/etc/passwd"), ("root", "/"), ("up", "../.."),
                     ("box", "/box/main.py"), ("loop", "loop"), ("agent", "/proc/1/root")):
    os.symlink(target, os.path.join(ask["scratch"][0], name))
    could.append(name)
""",
        "symlinks",
        "links to the host's files and to the agent's, for whoever cleans or collects",
    ),
    _leaves(
        """
for number, place in enumerate(ask["scratch"]):
    os.mkfifo(os.path.join(place, "fifo"))
    os.mkfifo(os.path.join(place, "program"))
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.join(place, "socket"))
    could.append(place)
""",
        "fifos_and_sockets",
        "FIFOs and sockets, for whoever opens them to hang on",
    ),
    _leaves(
        """
key = int(ask["token"][:7], 16)
for name, number, arguments in (("shm", 29, (key, 4096, 0o1666)), ("sem", 64, (key, 1, 0o1666)), ("msg", 68, (key, 0o1666))):
    try:
        could.append(name + str(call(number, *arguments)))
    except OSError as error:
        refused.append(name + ": " + errno.errorcode[error.errno])
if not could:
    could.append("tried")
""",
        "shared_memory",
        "System V shared memory, semaphores and queues",
    ),
    Case(
        "setuid_files",
        "setuid files of its own making, and programs in the writable places",
        python(
            """
import shutil, stat, subprocess
made = []
for place in ask["scratch"]:
    path = os.path.join(place, "root-shell")
    shutil.copy("/usr/bin/id", path)
    os.chmod(path, 0o6755)
    made.append(oct(os.stat(path).st_mode & 0o7777))
    attempt("run " + path, lambda: subprocess.run([path, "-u"], check=True, capture_output=True).stdout)
attempt("give to root", lambda: os.chown(os.path.join(ask["scratch"][0], "root-shell"), 0, 0))
done(made=made)
"""
        ),
        _setuid,
    ),
    Case(
        "leftovers_of_the_killed",
        "a program that is stopped at a limit while its children write",
        bomb("""
for _ in range(6):
    if os.fork() == 0:
        mark(ask["token"][:8])
        while True:
            try:
                with open(os.path.join(ask["scratch"][0], ask["token"] + str(os.getpid())), "w") as file:
                    file.write("x")
            except OSError:
                pass
time.sleep(60)
""")
        .replace(f"print({ALIVE!r})", "search()\n    done()")
        .replace("\nif ask['turn']", SEARCH + "\nif ask['turn']"),
        lambda seen: (
            (False, f"ended as {said(seen.verdicts[0])}")
            if seen.verdicts[0].outcome != Outcome.TIME_LIMIT
            else refused(3, after=3)(seen)
        ),
        turns=2,
        after=_AFTER,
    ),
]
