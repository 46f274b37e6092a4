"""Frames: how host and agent speak over the worker's stdin and stdout.

A frame is a four-byte big-endian length of what follows, one byte of kind, and a body. A body with parts is a JSON
header and raw blobs, each behind its own length, so any bytes travel as they are.

Belongs here: the format, pure and without input or output, the same text on both sides. Does not belong here: what a
frame makes somebody do (`runner.py` on the host, `agent.py` inside).
"""

from __future__ import annotations

import json
import struct
from enum import IntEnum
from typing import Any

MAX_BODY = 192 * 1024 * 1024
"""Bytes of the largest body. Two streams at `verdicts.MAX_OUTPUT_BYTES` fit; a longer length is a broken stream."""

_LENGTH = struct.Struct(">I")


class Kind(IntEnum):
    """What a frame is. Host to agent: HELLO, SUBMIT, INPUT. Agent to host: READY, COMPILED, VERDICT, FAULT."""

    HELLO = 1  # settings of the worker
    READY = 2  # the worker may be given a submission
    SUBMIT = 3  # the program, its language's commands, limits
    COMPILED = 4  # ready for inputs, or why not
    INPUT = 5  # one input
    VERDICT = 6  # what the program did with it
    FAULT = 7  # the agent itself failed: the worker must be thrown away


class FrameError(ValueError):
    """The bytes are no frames: unknown kind, a length beyond the bound, a body that doesn't parse."""


def encode(kind: Kind, body: bytes = b"") -> bytes:
    """One frame. Raises FrameError when the body is above `MAX_BODY`."""
    if len(body) > MAX_BODY:
        raise FrameError(f"a frame's body of {len(body)} bytes is above {MAX_BODY}")
    return _LENGTH.pack(len(body) + 1) + bytes([kind]) + body


def pack(header: dict[str, Any], *blobs: bytes) -> bytes:
    """A body of parts: JSON header, then blobs."""
    head = json.dumps(header).encode()
    return b"".join(part for blob in (head, *blobs) for part in (_LENGTH.pack(len(blob)), blob))


def unpack(body: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The header and blobs of a body that `pack` made. Raises FrameError on anything else."""
    parts, at = [], 0
    while at < len(body):
        if at + _LENGTH.size > len(body):
            raise FrameError("a part's length is cut")
        (size,) = _LENGTH.unpack_from(body, at)
        at += _LENGTH.size
        if at + size > len(body):
            raise FrameError(f"a part of {size} bytes is cut at {len(body) - at}")
        parts.append(body[at : at + size])
        at += size
    if not parts:
        raise FrameError("a body without a header")
    try:
        header = json.loads(parts[0])
    except ValueError as error:
        raise FrameError(f"the header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise FrameError("the header is not a JSON object")
    return header, parts[1:]


class Decoder:
    """Turns a stream cut anywhere into frames: `feed` bytes as they come, `next` gives a frame or None."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> tuple[Kind, bytes] | None:
        """The next whole frame, or None. Raises FrameError when the stream is no stream of frames."""
        if len(self._buffer) < _LENGTH.size:
            return None
        (size,) = _LENGTH.unpack_from(self._buffer)
        if not 1 <= size <= MAX_BODY + 1:
            raise FrameError(f"a frame of {size} bytes")
        end = _LENGTH.size + size
        if len(self._buffer) > _LENGTH.size and self._buffer[_LENGTH.size] not in Kind._value2member_map_:
            raise FrameError(f"a frame of unknown kind {self._buffer[_LENGTH.size]}")
        if len(self._buffer) < end:
            return None
        kind = Kind(self._buffer[_LENGTH.size])
        body = bytes(memoryview(self._buffer)[_LENGTH.size + 1 : end])
        del self._buffer[:end]
        return kind, body

    @property
    def pending(self) -> int:
        """Bytes of a frame that has not come whole yet."""
        return len(self._buffer)
