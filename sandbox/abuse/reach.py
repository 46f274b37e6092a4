"""Cases that reach for what is outside: network, host files, kernel, other processes, the agent.

Belongs here: ways out. Does not belong here: limits (`resources.py`), what is left behind (`remains.py`). System call
numbers are those of x86-64.
"""

from __future__ import annotations

from sandbox.abuse.case import ALIVE, Case, Judge, Seen, bomb, python, refused, report, said
from sandbox.verdicts import Outcome


def _host_saw_nothing(key: str, at_least: int) -> Judge:
    """Contained: the program tried so often, and what it sent for reached nobody on the host."""

    def judge(seen: Seen) -> tuple[bool, str]:
        found = report(seen.verdicts[-1])
        if found is None or seen.verdicts[-1].outcome != Outcome.OK:
            return False, f"no report: {said(seen.verdicts[-1])}"
        tried = len(found["refused"]) + found.get("sent", 0)
        arrived = seen.host[key]
        if found["could"] or arrived:
            return False, f"the host saw {arrived}; could: {'; '.join(found['could'][:5]) or 'nothing by its own word'}"
        kinds = sorted({text.rsplit(": ", 1)[-1] for text in found["refused"]})
        return tried >= at_least, f"{tried} attempts, the host's listener saw none ({', '.join(kinds)[:120]})"

    return judge


def _identity(seen: Seen) -> tuple[bool, str]:
    found = report(seen.verdicts[-1])
    if found is None:
        return False, f"no report: {said(seen.verdicts[-1])}"
    status = found["status"]
    caps = {name: status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
    fine = (
        all(int(value, 16) == 0 for value in caps.values())
        and status["NoNewPrivs"] == "1"
        and status["Seccomp"] == "2"
        and "0" not in status["Uid"].split()
        and not set(status["Groups"].split()) & {"0"}
    )
    return fine, (
        f"uid {status['Uid'].split()[0]}, capabilities {caps['CapEff']}, "
        f"NoNewPrivs {status['NoNewPrivs']}, Seccomp {status['Seccomp']}"
    )


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
        "tcp",
        "TCP to the host, its own addresses and the world",
        python(
            """
for host, port in [*[(address, ask["tcp"]) for address in ask["addresses"]], ("::1", ask["tcp"]), ("1.1.1.1", 53)]:
    attempt("connect " + host, lambda: socket.create_connection((host, port), timeout=0.3).close())
attempt("name service", lambda: socket.getaddrinfo("example.com", 80))
done()
"""
        ),
        _host_saw_nothing("tcp", 4),
        harmless=True,
    ),
    Case(
        "udp",
        "UDP to the host, its own addresses and the world",
        python(
            """
sent = 0
for address in ask["addresses"]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        try:
            sent += sender.sendto(ask["token"].encode(), (address, ask["udp"])) > 0
        except OSError as error:
            refused.append(address + ": " + errno.errorcode[error.errno])
done(sent=sent)
"""
        ),
        _host_saw_nothing("udp", 2),
        harmless=True,
    ),
    Case(
        "raw_sockets",
        "raw, packet, netlink and other sockets that speak to the kernel",
        python(
            """
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
attempt("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300))
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM).connect((2, 22)))
attempt("bluetooth", lambda: socket.socket(31, socket.SOCK_RAW, 1))
attempt("key", lambda: socket.socket(15, socket.SOCK_RAW, 2))
def bring_up():
    import fcntl
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, b"lo".ljust(16, bytes(1)) + (0x1043).to_bytes(2, "little") + bytes(22))
attempt("interface flags", bring_up)
done()
"""
        ),
        refused(5),
    ),
    Case(
        "unix_abstract",
        "the host's abstract unix sockets",
        python(
            """
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    def connect():
        with socket.socket(socket.AF_UNIX, kind) as one:
            one.connect(bytes(1) + (ask["abstract"] + str(int(kind))).encode())
            one.send(ask["token"].encode())
    attempt("connect", connect)
done()
"""
        ),
        _host_saw_nothing("unix", 2),
        harmless=True,
    ),
    Case(
        "unix_filesystem",
        "the host's unix sockets in the file system, an engine's own among them",
        python(
            """
for path in [ask["socket"], *ask["sockets"]]:
    def connect():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
            one.connect(path)
            one.send(ask["token"].encode())
    attempt(path, connect)
done()
"""
        ),
        _host_saw_nothing("unix", 3),
        harmless=True,
    ),
    Case(
        "listening",
        "a socket that listens, for somebody outside to find",
        python(
            """
with socket.socket() as door:
    door.bind(("0.0.0.0", ask["free_port"]))
    door.listen()
    door.settimeout(1.0)
    attempt("a caller from outside", door.accept)
done()
"""
        ),
        _host_saw_nothing("reached", 1),
        harmless=True,
    ),
    Case(
        "host_files",
        "files of the host by every path that might lead there",
        python(
            """
for path in ask["files"]:
    for way in (path, "/proc/1/root" + path, "/proc/self/root" + path, "/proc/1/cwd" + path, "../" * 24 + path[1:]):
        attempt(way, lambda: open(way, "rb").read(40))
for path in ("/etc/shadow", "/root", "/proc/1/environ", "/proc/1/fd", "/proc/kcore", "/dev/mem"):
    attempt(path, lambda: os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1))
looked = 0
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) != "/proc"]
    looked += len(files)
    could += [os.path.join(folder, name) for name in folders + files if ask["token"] in name]
done(looked=looked)
"""
        ),
        refused(10),
        harmless=True,
    ),
    Case(
        "writable_places",
        "writing anywhere but in the two places meant for it",
        python(
            """
looked = 0
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys/devices")]
    looked += 1
    if folder in ask["scratch"] or any(folder.startswith(place + "/") for place in ask["scratch"]):
        continue
    def leave():
        path = os.path.join(folder, ask["token"])
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.unlink(path)
        return path
    attempt(folder, leave)
for path in ("/usr/bin/python3", "/bin/sh", "/etc/passwd", "/box/main.py", __file__):
    attempt(path, lambda: open(path, "ab").close())
refused[:] = refused[-60:]
done(looked=looked)
"""
        ),
        refused(60),
    ),
    Case(
        "proc_sys",
        "the kernel's switches in /proc (opened for writing, never written)",
        python(
            """
places = ["/proc/sysrq-trigger", "/proc/kcore", "/proc/kmsg", "/proc/mtrr", "/proc/irq/default_smp_affinity"]
for folder, _, files in os.walk("/proc/sys"):
    places += [os.path.join(folder, name) for name in files]
for path in places:
    attempt(path, lambda: os.close(os.open(path, os.O_WRONLY)))
refused[:] = refused[-200:]
done()
"""
        ),
        refused(100),
        harmless=True,
    ),
    Case(
        "sys",
        "the kernel's switches in /sys (opened for writing, never written)",
        python(
            """
places = ["/sys/power/state", "/sys/kernel/uevent_helper", "/sys/kernel/mm/transparent_hugepage/enabled",
          "/sys/fs/cgroup/release_agent", "/sys/fs/cgroup/memory/release_agent", "/sys/kernel/debug", "/sys/firmware/efi"]
for folder, folders, files in os.walk("/sys"):
    places += [os.path.join(folder, name) for name in files][:50]
    if len(places) > 20000:
        break
for path in places:
    attempt(path, lambda: os.close(os.open(path, os.O_WRONLY)))
refused[:] = refused[-200:]
done()
"""
        ),
        refused(7),
        harmless=True,
    ),
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
    Case(
        "user_namespaces",
        "a user namespace of its own, in which it would be root",
        python(
            """
NEWUSER, SIGCHLD = 0x10000000, 17
attempt("unshare", lambda: call(272, NEWUSER))
attempt("clone", lambda: call(56, NEWUSER | SIGCHLD, 0, 0, 0, 0))
arguments = (ctypes.c_uint64 * 11)(NEWUSER, 0, 0, 0, SIGCHLD, 0, 0, 0, 0, 0, 0)
attempt("clone3", lambda: call(435, ctypes.byref(arguments), 88))
attempt("unshare, the program", lambda: __import__("subprocess").run(["unshare", "-r", "true"], check=True))
done()
"""
        ),
        refused(4),
    ),
    Case(
        "other_namespaces",
        "mount, pid, network, ipc, uts and cgroup namespaces; entering those of others",
        python(
            """
kinds = {"mnt": 0x20000, "pid": 0x20000000, "net": 0x40000000, "ipc": 0x8000000, "uts": 0x4000000, "cgroup": 0x2000000}
for name, flag in kinds.items():
    attempt("unshare " + name, lambda: call(272, flag))
    attempt("clone " + name, lambda: call(56, flag | 17, 0, 0, 0, 0))
    attempt("setns " + name, lambda: call(308, os.open(f"/proc/1/ns/{name}", os.O_RDONLY), flag))
attempt("setns by pid", lambda: call(308, os.pidfd_open(1), kinds["mnt"]))
done()
"""
        ),
        refused(19),
    ),
    Case(
        "keyctl",
        "the kernel's keyrings, which no namespace parts",
        python(
            """
attempt("add_key", lambda: call(248, b"user", ask["token"].encode(), b"secret", 6, -3))
attempt("request_key", lambda: call(249, b"user", ask["token"].encode(), 0, -3))
for name, operation in (("session", 0), ("join", 1), ("describe", 6), ("search", 10), ("persistent", 22)):
    attempt("keyctl " + name, lambda: call(250, operation, -3, 0, 0, 0))
done()
"""
        ),
        refused(7),
        harmless=True,
    ),
    Case(
        "mount",
        "mounting, remounting, moving the root",
        python(
            """
RDONLY, REMOUNT, BIND = 1, 32, 4096
attempt("tmpfs", lambda: call(165, b"tmpfs", b"/tmp", b"tmpfs", 0, 0))
attempt("proc", lambda: call(165, b"proc", b"/tmp", b"proc", 0, 0))
attempt("bind", lambda: call(165, b"/", b"/tmp", 0, BIND, 0))
attempt("remount", lambda: call(165, 0, b"/", 0, REMOUNT | BIND, 0))
attempt("exec on scratch", lambda: call(165, 0, b"/tmp", 0, REMOUNT | BIND, 0))
attempt("umount", lambda: call(166, b"/proc", 2))
attempt("pivot_root", lambda: call(155, b"/tmp", b"/tmp"))
attempt("chroot", lambda: call(161, b"/tmp"))
attempt("fsopen", lambda: call(430, b"tmpfs", 0))
attempt("open_tree", lambda: call(428, -100, b"/", 1))
attempt("mount_setattr", lambda: call(442, -100, b"/", 0, ctypes.byref((ctypes.c_uint64 * 4)()), 32))
done()
"""
        ),
        refused(11),
    ),
    Case(
        "devices",
        "devices, made or found",
        python(
            """
import stat
for name, kind, number in (("zero", stat.S_IFCHR, (1, 5)), ("mem", stat.S_IFCHR, (1, 1)), ("disk", stat.S_IFBLK, (8, 0)),
                           ("disk", stat.S_IFBLK, (254, 0))):
    attempt("mknod " + name, lambda: os.mknod(ask["token"] + name, kind | 0o600, os.makedev(*number)))
for name in ("sda", "vda", "nvme0n1", "mem", "kmem", "port", "kmsg", "kvm", "fuse", "net/tun", "loop-control", "loop0",
             "dm-0", "vhost-net", "vsock", "uinput", "rtc0", "watchdog", "tty", "tty0", "console", "userfaultfd"):
    attempt("/dev/" + name, lambda: os.close(os.open("/dev/" + name, os.O_RDWR | os.O_NONBLOCK)))
done()
"""
        ),
        refused(26),
    ),
    Case(
        "kernel_calls",
        "calls that change or read the kernel: modules, bpf, performance counters, clocks, names, swap, reboot",
        python(
            """
buffer = ctypes.create_string_buffer(256)
pointer = ctypes.byref(buffer)
for name, number, *arguments in (
    ("bpf", 321, 5, pointer, 128), ("perf_event_open", 298, pointer, 0, -1, -1, 0), ("userfaultfd", 323, -1),
    ("io_uring_setup", 425, 0, pointer), ("init_module", 175, pointer, 0, pointer), ("finit_module", 313, -1, pointer, 0),
    ("delete_module", 176, pointer, 0), ("kexec_load", 246, 0, 0, 0, 1 << 20), ("reboot", 169, 1, 1, 1, 0),
    ("swapon", 167, pointer, 0), ("swapoff", 168, pointer), ("settimeofday", 164, 0, 0), ("clock_settime", 227, 0, pointer),
    ("sethostname", 170, pointer, -1), ("setdomainname", 171, pointer, -1), ("iopl", 172, 4), ("ioperm", 173, 0, 1, 1),
    ("acct", 163, b"/nowhere"), ("quotactl", 179, -1, 0, 0, 0), ("syslog", 103, 10, 0, 0), ("lookup_dcookie", 212, 0, 0, 0),
    ("open_by_handle_at", 304, -1, pointer, 0), ("fanotify_init", 300, -1, 0),
):
    probe(name, number, *arguments)
done()
"""
        ),
        refused(23),
    ),
    Case(
        "identity",
        "what the kernel says of the program: uid, groups, capabilities, filter",
        python(
            """
with open("/proc/self/status") as file:
    status = dict(line.rstrip("\\n").split(":\\t", 1) for line in file if ":\\t" in line)
done(status={name: status[name].strip() for name in
             ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs", "Seccomp")})
"""
        ),
        _identity,
        harmless=True,
    ),
    Case(
        "setuid_programs",
        "programs of the image that would run as root",
        python(
            """
import stat, subprocess
found = []
for folder, _, files in os.walk("/usr"):
    for name in files:
        path = os.path.join(folder, name)
        try:
            if os.lstat(path).st_mode & (stat.S_ISUID | stat.S_ISGID):
                found.append(path)
        except OSError:
            pass
for words in [["su", "-c", "id -u"], ["mount", "-t", "tmpfs", "tmpfs", "/tmp"], ["newgrp", "root"], ["passwd", "-d", "root"]]:
    attempt(words[0], lambda: subprocess.run(words, check=True, capture_output=True, stdin=subprocess.DEVNULL))
with open("/proc/self/status") as file:
    if "NoNewPrivs:\\t1" not in file.read():
        could.append("privileges may grow at an exec")
done(found=found)
"""
        ),
        refused(4),
    ),
]
