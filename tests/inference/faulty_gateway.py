"""A gateway in front of a chat endpoint that fails on purpose: 429, 5xx, dropped, cut and doubled answers.

It honours `Idempotency-Key` as paid gateways do: an answer is made, and billed, once a key. `bills` is the ledger.
"""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Upstream = Callable[[dict[str, Any], str], dict[str, Any]]
FAULTS = ("429", "503", "drop_before", "drop_after", "cut", "double", "double_body", "html_502")


def echo(body: dict[str, Any], key: str) -> dict[str, Any]:
    """An upstream that answers with the prompt itself, so that a mixed-up answer shows."""
    text = f"{body['messages'][0]['content']} \\boxed{{{body['seed'] % 2}}}"
    return completion(text, key)


def completion(text: str, key: str, finish_reason: str = "stop", tokens: int = 7) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{key}",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 11, "completion_tokens": tokens, "total_tokens": 11 + tokens},
    }


def forward_to(base: str) -> Upstream:
    """An upstream that is a real endpoint."""

    def ask(body: dict[str, Any], key: str) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "X-Request-Id": key}
        request = urllib.request.Request(f"{base}/chat/completions", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=120) as response:
            return json.load(response)

    return ask


class Gateway:
    """`faults(key, attempt)` names the fault of a try (None: none). Use as a context manager; `url` is its base URL."""

    def __init__(
        self,
        upstream: Upstream = echo,
        faults: Callable[[str, int], str | None] = lambda key, attempt: None,
        seconds: float = 0.0,
    ) -> None:
        self.upstream, self.faults, self.seconds = upstream, faults, seconds
        self.bills: Counter[str] = Counter()
        self.tries: Counter[str] = Counter()
        self.injected: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.bodies: dict[str, dict[str, Any]] = {}
        self.most_at_once = 0
        self._now = 0
        self._answers: dict[str, dict[str, Any]] = {}
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Gateway:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a key: made and billed on the first call, repeated on any later one."""
        with self._lock:
            lock = self._locks[key]
        with lock:
            if key not in self._answers:
                time.sleep(self.seconds)
                self._answers[key] = self.upstream(body, key)
                self.bills[key] += 1
            return self._answers[key]

    def _handler(gateway: Gateway) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                key = self.headers["Idempotency-Key"]
                with gateway._lock:
                    attempt = gateway.tries[key]
                    gateway.tries[key] += 1
                    gateway.headers.append(dict(self.headers))
                    gateway.bodies[key] = body
                    gateway._now += 1
                    gateway.most_at_once = max(gateway.most_at_once, gateway._now)
                try:
                    self.reply(gateway.faults(key, attempt), key, body)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                finally:
                    with gateway._lock:
                        gateway._now -= 1

            def reply(self, fault: str | None, key: str, body: dict[str, Any]) -> None:
                if fault:
                    with gateway._lock:
                        gateway.injected[fault] += 1
                if fault == "429":
                    return self.send(
                        429, b'{"error": {"message": "slow down", "code": "rate_limit"}}', {"Retry-After": "0"}
                    )
                if fault == "503":
                    return self.send(503, b"")
                if fault == "too_long":
                    return self.send(400, b'{"error": {"code": "context_length_exceeded", "message": "too long"}}')
                if fault == "html_502":
                    return self.send(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"})
                if fault == "drop_before":
                    return self.drop()
                answer = json.dumps(gateway.answer(key, body)).encode()
                if fault == "drop_after":
                    return self.drop()
                if fault == "cut":
                    self.wfile.write(self.head(200, len(answer), {}) + answer[: len(answer) // 2])
                    return self.drop()
                if fault == "double_body":
                    return self.send(200, answer + answer)
                if fault == "double":
                    whole = self.head(200, len(answer), {}) + answer
                    self.wfile.write(whole + whole)
                    self.wfile.flush()
                    return None
                return self.send(200, answer)

            def head(self, status: int, length: int, headers: dict[str, str]) -> bytes:
                lines = [f"HTTP/1.1 {status} X", f"Content-Length: {length}"]
                lines += [
                    f"{name}: {value}" for name, value in ({"Content-Type": "application/json"} | headers).items()
                ]
                return ("\r\n".join(lines) + "\r\n\r\n").encode()

            def send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
                self.wfile.write(self.head(status, len(content), headers or {}) + content)

            def drop(self) -> None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

        return Handler


def by_turns(*faults: str | None) -> Callable[[str, int], str | None]:
    """The first try of each key meets one of `faults`, by the key; the second a 503 for every other key."""

    def choose(key: str, attempt: int) -> str | None:
        number = int(key[:8], 16)
        if attempt == 0:
            return faults[number % len(faults)]
        return "503" if attempt == 1 and number % 2 else None

    return choose
