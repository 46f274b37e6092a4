"""The list of system calls that programs may make."""

from __future__ import annotations

from sandbox.backends import seccomp
from tests.sandbox.conftest import or_miss

FORBIDDEN = """
keyctl add_key request_key ptrace process_vm_readv process_vm_writev mount umount2 pivot_root chroot unshare setns bpf
perf_event_open userfaultfd io_uring_setup init_module finit_module delete_module kexec_load reboot swapon swapoff
settimeofday clock_settime sethostname iopl ioperm open_by_handle_at fanotify_init kcmp pidfd_getfd clone3 socket
personality fsopen fsmount move_mount open_tree mount_setattr quotactl syslog acct
"""


def test_the_filter_names_no_call_that_changes_the_kernel() -> None:
    assert not set(FORBIDDEN.split()) & set(seccomp.ALLOWED)
    assert len(seccomp.ALLOWED) == len(set(seccomp.ALLOWED))


def test_the_filter_compiles_to_whole_instructions() -> None:
    with or_miss("filter of system calls"):
        program = seccomp.compile_filter()
    assert len(program) % 8 == 0
    assert 20 < len(program) // 8 < 4096, "the kernel takes 4096 instructions"
