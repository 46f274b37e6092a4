"""The process that starts rooms for the host, one bubblewrap each.

Belongs here: what must happen between fork and exec, which a program with threads cannot safely do: joining the
control groups, giving up root, making the user namespace. Runs as a process of its own (`python -I -S FILE SOCKET`),
small, single-threaded, with the standard library only.

Requests come over a SOCK_SEQPACKET socket as JSON with the room's stdin, stdout and stderr as descriptors:
`{"user": host uid or null, "room_uid": uid of programs inside, "beside": host uid that it is mapped to,
"entrances": [cgroup.procs files], "command": [bwrap ...]}`; `@USERNS@` in the command is the namespace's descriptor.
The answer is `{"pid": of bubblewrap}` or `{"error": text}`. When the host goes away, the socket ends: every room is
killed and the control groups under `KEEP_CLEAN` (a JSON list in the environment) are removed.
"""

import contextlib
import ctypes
import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time

CLONE_NEWUSER = 0x10000000
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
MAX_MESSAGE = 65536


def main(channel: socket.socket) -> None:
    os.setsid()  # Ctrl-C is the host's
    # What bubblewrap leaves when it is killed comes to us, and not to an init that may be slow to bury it.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.set_blocking(channel.fileno(), True)
    wake, signalled = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(signalled)
    rooms: set[int] = set()
    while True:
        ready, _, _ = select.select([channel.fileno(), wake], [], [])
        if wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 4096)
            reap(rooms)
        if channel.fileno() not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(channel, MAX_MESSAGE, 3)
        if not message:
            break
        try:
            room = start(json.loads(message), descriptors)
            rooms.add(room)
            answer: dict[str, object] = {"pid": room}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        for descriptor in descriptors:
            os.close(descriptor)
        try:
            channel.send(json.dumps(answer).encode())
        except OSError:
            break
    end(rooms)


def reap(rooms: "set[int]") -> None:
    with contextlib.suppress(ChildProcessError):
        while (process := os.waitpid(-1, os.WNOHANG)[0]) != 0:
            rooms.discard(process)


def start(request: "dict", descriptors: "list[int]") -> int:
    """Fork the process that becomes bubblewrap. Raises OSError where a namespace or a mapping is refused."""
    namespace = user_namespace(request["user"], request["room_uid"], request["beside"])
    report, told = os.pipe2(os.O_CLOEXEC)
    process = os.fork()
    if process == 0:
        try:
            for entrance in request["entrances"]:
                with open(entrance, "w") as file:
                    file.write("0")
            give_up_root(request["user"])
            for number, descriptor in enumerate(descriptors):
                os.dup2(descriptor, number)
            os.set_inheritable(namespace, True)
            command = [word.replace("@USERNS@", str(namespace)) for word in request["command"]]
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.execve(command[0], command, {})
        except BaseException as error:
            os.write(told, str(error).encode())
        os._exit(127)
    os.close(told)
    os.close(namespace)
    failure = b""
    while chunk := os.read(report, 4096):  # ends with the exec
        failure += chunk
    os.close(report)
    if failure:
        os.waitpid(process, 0)
        raise OSError(errno.EPERM, failure.decode(errors="replace"))
    return process


def user_namespace(user: "int | None", room_uid: int, beside: int) -> int:
    """A descriptor of a new user namespace: 0 is `user` (or who we are), `room_uid` is `beside`; it may have no child.

    Two uids, so that programs cannot touch the agent. Made by a process that has given up root already.
    """
    asked, answered = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    process = os.fork()
    if process == 0:
        try:
            asked.close()
            give_up_root(user)
            libc = ctypes.CDLL(None, use_errno=True)
            libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else our files in /proc belong to root
            if libc.unshare(CLONE_NEWUSER):
                raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER): are user namespaces switched off?")
            answered.sendall(b"n")
            if answered.recv(1) != b"m":
                os._exit(1)
            with open("/proc/sys/user/max_user_namespaces", "w") as file:
                file.write("0")
            answered.sendall(b"z")
            answered.recv(1)
        except BaseException as error:
            answered.sendall(b"e" + str(error).encode())
        os._exit(0)
    answered.close()
    try:
        expect(asked, b"n")
        write_maps(process, user, room_uid, beside)
        asked.sendall(b"m")
        expect(asked, b"z")
        return os.open(f"/proc/{process}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        asked.close()
        os.waitpid(process, 0)


def expect(channel: socket.socket, wanted: bytes) -> None:
    got = channel.recv(1)
    if got != wanted:
        raise OSError(errno.EPERM, channel.recv(4096).decode(errors="replace") or "the namespace's maker died")


def write_maps(process: int, user: "int | None", room_uid: int, beside: int) -> None:
    if user is not None:
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{process}/{name}", "w") as file:
                file.write(f"0 {user} 1\n{room_uid} {beside} 1\n")
        return
    for program, own in (("newuidmap", os.getuid()), ("newgidmap", os.getgid())):
        numbers = ["0", str(own), "1", str(room_uid), str(beside), "1"]
        done = subprocess.run([program, str(process), *numbers], capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(errno.EPERM, f"{program}: {done.stderr.strip()}")


def give_up_root(user: "int | None") -> None:
    """Become `user` for good. Raises where root would stay root."""
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    if 0 in os.getresuid():
        raise OSError(errno.EPERM, "bubblewrap is never started by root")


def end(rooms: "set[int]") -> None:
    """The host is gone: kill the rooms, wait for them, remove their control groups."""
    for room in rooms:
        with contextlib.suppress(ProcessLookupError):
            os.kill(room, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    parents = json.loads(os.environ.get("KEEP_CLEAN", "[]"))
    deadline = time.monotonic() + 5
    while any(not removed(parent) for parent in parents) and time.monotonic() < deadline:
        time.sleep(0.01)


def removed(parent: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(parent):
            if entry.is_dir():
                with contextlib.suppress(OSError):
                    os.rmdir(entry.path)
    with contextlib.suppress(OSError):
        os.rmdir(parent)
    return not os.path.exists(parent)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
