"""Streams: the bytes of a file, wherever it lies, in blocks and in pieces of bounded size.

Belongs here: opening (local files and any fsspec URL), decompression with a bound, lines, the elements of a JSON array,
CSV records. Does not belong here: what a piece means (`formats.py`).

Nothing here holds more than one block and one piece: a piece above its bound keeps its beginning and its length.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kimi_pipeline.errors import UserError

BLOCK = 1 << 20
KEPT = 65_536  # bytes of a piece that is too long; enough to find it in the source
UNCHECKED = 64 << 20  # bytes that any compressed file may expand to
COMPRESSED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}


@dataclass(frozen=True, slots=True)
class TooLong:
    """A piece beyond the bound: its number, its first bytes and its length in bytes."""

    number: int
    head: bytes
    size: int


class Cut(Exception):
    """The bytes end where they must not; the message says inside what."""


Piece = tuple[int, bytes] | TooLong


def is_url(path: str) -> bool:
    return "://" in path


def compression(path: str) -> str | None:
    return COMPRESSED.get(Path(path).suffix)


@contextlib.contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """The file as it is stored. Raises UserError where it can't be opened."""
    if not is_url(path):
        try:
            file: Any = Path(path).open("rb")  # noqa: SIM115 - closed below
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None
    else:
        import fsspec

        try:
            file = fsspec.open(path, "rb").open()
        except Exception as error:  # each file system raises its own, all about this file
            raise UserError(f"{path} can't be opened: {_first_line(error)}") from None
    with file:
        yield file


def blocks(path: str, max_expansion: int) -> Iterator[bytes]:
    """The decompressed bytes in blocks.

    Raises UserError for a file that is cut off, broken, or expands more than `max_expansion`-fold beyond 64 MiB (a bomb).
    """
    with opened(path) as file:
        read = _reader(file, path)
        done = 0
        while True:
            try:
                block = read(BLOCK)
            except UserError:
                raise
            except Exception as error:  # zlib, zstd and remote file systems each have their own
                kind = "is no whole compressed file" if compression(path) else "broke off"
                raise UserError(f"{path} {kind} (after {done:,} bytes): {_first_line(error)}") from None
            if not block:
                return
            done += len(block)
            if done > UNCHECKED and compression(path) and done > max_expansion * max(1, file.tell()):
                raise UserError(
                    f"{path} expands more than {max_expansion}-fold (a compression bomb?): "
                    "if it is sound, raise corpora.max_expansion"
                )
            yield block


def raw_blocks(path: str) -> Iterator[bytes]:
    """The bytes as they are stored."""
    with opened(path) as file:
        while block := file.read(BLOCK):
            yield block


def _reader(file: IO[bytes], path: str) -> Any:
    kind = compression(path)
    if kind is None:
        return file.read
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(file, mode="r"), kind).read


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def lines(stream: Iterator[bytes], max_bytes: int) -> Iterator[Piece]:
    """Numbered lines without their ends, blank ones included; a byte order mark is dropped.

    Raises UserError for UTF-16, in which a line's end is no single byte.
    """
    number, tail, size = 1, b"", 0
    for place, block in enumerate(stream):
        if place == 0:
            if block[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise UserError("the text is UTF-16: convert it to UTF-8 first (iconv -f UTF-16 -t UTF-8)")
            block = block.removeprefix(b"\xef\xbb\xbf")
        *ends, last = block.split(b"\n")
        for line in ends:
            if size or tail:
                line, whole = tail + line, size + len(line)
                yield (number, line) if whole <= max_bytes else TooLong(number, line[:KEPT], whole)
                tail, size = b"", 0
            elif len(line) > max_bytes:
                yield TooLong(number, line[:KEPT], len(line))
            else:
                yield number, line
            number += 1
        size += len(last)
        tail = tail + last if size <= max_bytes else (tail + last)[:KEPT]
    if size:
        yield (number, tail) if size <= max_bytes else TooLong(number, tail[:KEPT], size)


def records(pieces: Iterator[Piece], max_bytes: int) -> Iterator[Piece]:
    """CSV records: lines joined while a quote is open, under the number of their first line.

    Raises Cut where the file ends within a quote.
    """
    start, size, quotes = 0, 0, 0
    parts: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, TooLong):
            number, line, length = piece.number, piece.head, piece.size
        else:
            (number, line), length = piece, len(piece[1])
        if not parts:
            start, size, quotes = number, 0, 0
        size += length + 1
        quotes += line.count(b'"')
        parts.append(line if size <= max_bytes else line[:KEPT] if len(parts) == 0 else b"")
        if size > max_bytes and len(parts) > 1:
            parts = [b"\n".join(parts)[:KEPT]]
        if quotes % 2 == 0 or isinstance(piece, TooLong):  # a line that is too long may hide its other quote
            whole = b"\n".join(parts)
            yield (start, whole) if size <= max_bytes + 1 else TooLong(start, whole[:KEPT], size)
            parts = []
    if parts:
        raise Cut(f"line {start}: a quote that opens in this record is never closed")


_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["{}\[\],]', re.DOTALL)
_INSIDE = re.compile(rb'["\\]')


def elements(stream: Iterator[bytes], max_bytes: int) -> Iterator[Piece]:
    """The elements of a JSON array, numbered from 1, as the bytes between its commas; whether each is JSON is not said.

    Raises Cut where the file ends inside the array, UserError where it holds no array or goes on behind it.
    """
    number, depth, inside, escaped, ended = 1, 0, False, False, False
    kept, size = b"", 0

    def piece() -> Piece | None:
        if not size or (size == len(kept) and not kept.strip()):
            return None
        return (number, kept) if size <= max_bytes else TooLong(number, kept[:KEPT], size)

    for block in stream:
        place = start = 0
        if depth == 0 and not ended:
            block = block.removeprefix(b"\xef\xbb\xbf").lstrip()
            if block and block[:1] != b"[":
                raise UserError("no JSON array: it must hold [ {...}, {...} ], or be jsonl")
        while place < len(block):
            if escaped:
                escaped, place = False, place + 1
                continue
            found = (_INSIDE if inside else _TOKEN).search(block, place)
            if found is None:
                break
            token, place = found[0], found.end()
            if inside:
                escaped, inside = token == b"\\", token == b"\\"
                continue
            if len(token) > 1:
                continue
            if ended:
                raise UserError("something follows the JSON array")
            if token == b'"':
                inside = True
            elif token in b"[{":
                depth += 1
                if depth == 1:
                    start = place
            elif token == b"," and depth > 1:
                continue
            else:
                depth -= token != b","
                if depth > 1 or (depth == 1 and token != b","):
                    continue
                size += place - 1 - start
                kept = (
                    kept + block[start : place - 1] if size <= max_bytes else (kept + block[start : place - 1])[:KEPT]
                )
                made = piece()
                if made is not None:
                    yield made
                number, kept, size, start, ended = number + 1, b"", 0, place, depth == 0
        if depth:
            size += len(block) - start
            kept = kept + block[start:] if size <= max_bytes else (kept + block[start:])[:KEPT]
    if depth:
        raise Cut(f"it ends inside element {number} of the JSON array")
