"""Cases that reach for the host's files and its kernel.

Belongs here: files, devices, namespaces, system calls, privileges. Does not belong here: sockets (`network.py`),
processes (`processes.py`), limits (`resources.py`). System call numbers are those of x86-64.
"""

from __future__ import annotations

from sandbox.abuse.case import WALKS, Case, Seen, python, refused, report, said


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


CASES = [
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
        limits=WALKS,
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
        limits=WALKS,
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
        limits=WALKS,
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
        limits=WALKS,
        harmless=True,
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
        limits=WALKS,
    ),
]
