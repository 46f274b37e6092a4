"""Cases that reach for a network: the host's sockets of every kind, and the world.

Belongs here: programs that call or listen. Does not belong here: files and the kernel (`reach.py`).
"""

from __future__ import annotations

from sandbox.abuse.case import Case, Judge, Seen, python, refused, report, said
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
]
