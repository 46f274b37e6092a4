"""What bubblewrap starts in a new room: it mounts the writable places, closes the kernel's switches in /proc, gives up
what it needed for that, and becomes the agent. Runs inside, as process 1, with nothing but the worker's own Python: it
imports nothing of the library.

Usage: python3 bubblewrap_entry.py FILTER STACK_BYTES SIZE_BYTES INODES PLACE[:noexec]... -- AGENT COMMAND...

bubblewrap can size a tmpfs but not bound its inodes, and a filter that bubblewrap loads could not allow mounts to this
program and refuse them to the agent: hence a program in between. A failure of any step ends the room.
"""

import ctypes
import os
import resource
import sys

READ_ONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND = 1, 2, 4, 8, 32, 4096
KERNEL = ("sys", "sysrq-trigger", "irq", "bus", "fs")
PR_SET_SECCOMP, PR_CAPBSET_DROP, SECCOMP_FILTER = 22, 24, 2
SETGID, SETUID, LAST_CAPABILITY = 6, 7, 63
CAPABILITY_VERSION = 0x20080522


def main(filter_file: str, stack: str, size: str, inodes: str, *rest: str) -> None:
    places, command = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
    libc = ctypes.CDLL(None, use_errno=True)
    os.closerange(3, 4096)
    for place in places:
        path, _, noexec = place.partition(":")
        flags = NOSUID | NODEV | (NOEXEC if noexec else 0)
        options = f"size={size},nr_inodes={inodes},mode=755".encode()
        check(libc.mount(b"tmpfs", path.encode(), b"tmpfs", flags, options), f"mount {path}")
    for name in KERNEL:
        switch = f"/proc/{name}".encode()
        if os.path.exists(switch):
            check(libc.mount(switch, switch, None, BIND, None), f"bind {name}")
            check(libc.mount(None, switch, None, BIND | REMOUNT | READ_ONLY | NOSUID | NODEV | NOEXEC, None), name)
    keep = (1 << SETUID) | (1 << SETGID)
    for number in range(LAST_CAPABILITY + 1):
        if not keep >> number & 1:
            libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)  # numbers above the kernel's last one are refused
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    # Three words of the low 32 capabilities and three of the high ones: effective, permitted, inheritable.
    check(libc.capset(header, (ctypes.c_uint32 * 6)(keep, keep, 0, 0, 0, 0)), "capset")
    with open(filter_file, "rb") as file:
        program = file.read()
    load(libc, program)
    resource.setrlimit(resource.RLIMIT_STACK, (int(stack), int(stack)))
    os.execve(command[0], command, {})


def load(libc: ctypes.CDLL, program: bytes) -> None:
    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))

    buffer = ctypes.create_string_buffer(program, len(program))
    described = Program(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    check(libc.prctl(PR_SET_SECCOMP, SECCOMP_FILTER, ctypes.byref(described), 0, 0), "seccomp")


def check(result: int, what: str) -> None:
    if result:
        sys.exit(f"the room cannot be closed: {what}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main(*sys.argv[1:])
