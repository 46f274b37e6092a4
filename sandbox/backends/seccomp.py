"""The system calls that a program may make, compiled by libseccomp into a filter.

Belongs here: the list and its compilation. Does not belong here: loading the filter (`bubblewrap_entry.py`).

A list of what is allowed: a call that a later kernel brings is refused until someone has thought about it. The list is
close to a container engine's default profile, so that a program meets the same kernel on both backends, without what
that profile only gives to containers with capabilities, and without ptrace and io_uring.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import socket

from sandbox.errors import BackendUnavailable

FILES = """
access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 fallocate
fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat
fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr ioctl lchown lgetxattr link linkat listxattr
llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat newfstatat open openat openat2 pread64 preadv
preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr rename renameat renameat2 rmdir
sendfile setxattr splice stat statfs statx symlink symlinkat sync sync_file_range syncfs tee truncate umask unlink
unlinkat utime utimensat utimes vmsplice write writev
"""
WAITING = """
epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 inotify_add_watch inotify_init
inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit pause poll ppoll
pselect6 restart_syscall select signalfd signalfd4 timerfd_create timerfd_gettime timerfd_settime
"""
MEMORY = """
brk cachestat madvise map_shadow_stack membarrier memfd_create mincore mlock mlock2 mlockall mmap mprotect mremap mseal
msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages
"""
PROCESSES = """
arch_prctl capget capset execve execveat exit exit_group fork futex futex_waitv futex_wait futex_wake futex_requeue
get_robust_list getcpu getegid geteuid getgid getgroups getpgid getpgrp getpid getppid getpriority getresgid getresuid
getrlimit getrusage getsid gettid getuid ioprio_get ioprio_set kill pidfd_open pidfd_send_signal prctl prlimit64
process_mrelease rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr
sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam
sched_setscheduler sched_yield seccomp set_robust_list set_tid_address setfsgid setfsuid setgid setgroups setpgid
setpriority setregid setresgid setresuid setreuid setrlimit setsid setuid sigaltstack tgkill times tkill uname vfork
wait4 waitid landlock_add_rule landlock_create_ruleset landlock_restrict_self
"""
TIME_AND_IDENTITY = """
alarm clock_getres clock_gettime clock_nanosleep getitimer getrandom gettimeofday nanosleep setitimer sysinfo time
timer_create timer_delete timer_getoverrun timer_gettime timer_settime
"""
MESSAGES = """
accept accept4 bind connect getpeername getsockname getsockopt listen mq_getsetattr mq_notify mq_open mq_timedreceive
mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd pipe pipe2 recvfrom recvmmsg recvmsg semctl semget semop semtimedop
sendmmsg sendmsg sendto setsockopt shmat shmctl shmdt shmget shutdown socketpair
"""
ALLOWED = " ".join((FILES, WAITING, MEMORY, PROCESSES, TIME_AND_IDENTITY, MESSAGES)).split()

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EQUAL, _MASKED_EQUAL = 4, 7
_NAMESPACES = 0x7E020000  # every CLONE_NEW*: time, mount, cgroup, uts, ipc, user, pid, network
_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
_PERSONALITIES = (0x0, 0x0008, 0x20000, 0x20008, 0xFFFFFFFF)  # Linux, 32 bit, without randomisation of uname, asking


class _Comparison(ctypes.Structure):
    """libseccomp's `struct scmp_arg_cmp`."""

    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def compile_filter() -> bytes:
    """The filter for this machine's architecture, as the kernel's BPF instructions (8 bytes each).

    Refused calls fail with EPERM; clone3, whose flags a filter cannot see, with ENOSYS, so that libc takes clone.
    Calls of another architecture (32 bit, x32) end the process. Raises BackendUnavailable without libseccomp.
    """
    library = _library()
    context = library.seccomp_init(_ERRNO | errno.EPERM)
    if not context:
        raise BackendUnavailable("libseccomp cannot make a filter on this architecture")
    try:
        for name in ALLOWED:
            _rule(library, context, _ALLOW, name)
        # The namespaces of 0x80 (time) share a bit with the exit signal, and clone refuses them by itself.
        _rule(library, context, _ALLOW, "clone", _Comparison(0, _MASKED_EQUAL, _NAMESPACES, 0))
        _rule(library, context, _ERRNO | errno.ENOSYS, "clone3")
        for value in _PERSONALITIES:
            _rule(library, context, _ALLOW, "personality", _Comparison(0, _EQUAL, value, 0))
        for family in _FAMILIES:
            _rule(library, context, _ALLOW, "socket", _Comparison(0, _EQUAL, family, 0))
        return _exported(library, context)
    finally:
        library.seccomp_release(context)


def engine_profile() -> str:
    """The same rules as a container engine's seccomp profile (JSON), so that both backends have one kernel."""

    def rule(names: list[str], action: str = "SCMP_ACT_ALLOW", **more: object) -> dict[str, object]:
        return {"names": names, "action": action, **more}

    def first_argument(value: int, operator: str, value_two: int = 0) -> list[dict[str, object]]:
        return [{"index": 0, "value": value, "valueTwo": value_two, "op": operator}]

    masked = first_argument(_NAMESPACES, "SCMP_CMP_MASKED_EQ")
    rules = [rule(ALLOWED), rule(["clone"], args=masked)]
    rules += [rule(["clone3"], "SCMP_ACT_ERRNO", errnoRet=errno.ENOSYS)]
    rules += [rule(["personality"], args=first_argument(value, "SCMP_CMP_EQ")) for value in _PERSONALITIES]
    rules += [rule(["socket"], args=first_argument(int(family), "SCMP_CMP_EQ")) for family in _FAMILIES]
    architectures = [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
    ]
    return json.dumps(
        {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": errno.EPERM, "archMap": architectures, "syscalls": rules}
    )


def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        raise BackendUnavailable("backend bubblewrap needs libseccomp: apt-get install libseccomp2") from None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_release.argtypes = [ctypes.c_void_p]
    library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Comparison),
    ]
    return library


def _rule(library: ctypes.CDLL, context: int, action: int, name: str, *comparisons: _Comparison) -> None:
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number < 0:
        return  # not a call of this architecture, or newer than the library: it stays refused
    array = (_Comparison * len(comparisons))(*comparisons)
    result = library.seccomp_rule_add_array(context, action, number, len(comparisons), array)
    if result:
        raise BackendUnavailable(f"libseccomp refuses the rule for {name}: {os.strerror(-result)}")


def _exported(library: ctypes.CDLL, context: int) -> bytes:
    file = os.memfd_create("filter")
    try:
        result = library.seccomp_export_bpf(context, file)
        if result:
            raise BackendUnavailable(f"libseccomp cannot write the filter: {os.strerror(-result)}")
        return os.pread(file, os.fstat(file).st_size, 0)
    finally:
        os.close(file)
