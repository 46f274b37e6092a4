"""Digests and seeds: how a thing gets a name that depends on its content alone.

Belongs here: canonical JSON, digests, request seeds. Does not belong here: what is digested (a table, a checkpoint).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

DIGEST_LENGTH = 32  # hexadecimal digits: 128 bits, no collision to fear at a billion rows


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces, so that equal values have equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def digest(value: Any) -> str:
    """32 hexadecimal digits of SHA-256 over bytes, text, or anything JSON can hold."""
    if isinstance(value, str):
        value = value.encode()
    if not isinstance(value, bytes):
        value = canonical_json(value).encode()
    return hashlib.sha256(value).hexdigest()[:DIGEST_LENGTH]


def file_digest(path: Path) -> str:
    """The digest of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:DIGEST_LENGTH]


def folder_digest(folder: Path, suffixes: tuple[str, ...] = ()) -> str:
    """The digest of a folder: relative names and contents of its files (only those with `suffixes`, where given)."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and (not suffixes or p.suffix in suffixes))
    return digest([[str(p.relative_to(folder)), file_digest(p)] for p in files])


def request_seed(run_seed: int, purpose: str, origin: str, problem_id: str, sample: int, segment: int = 0) -> int:
    """The seed of one request, in [0, 2**31).

    A function of what is asked, never of batch or worker, so that a request drawn again gives the same tokens.
    `origin` is the checkpoint's digest, or in RL `iteration:N` of the iteration in which the trajectory began (two
    iterations must not repeat each other's draws). A continued trajectory gets a fresh seed per `segment`: the same
    seed would restart the sampler's random stream and repeat its choices.
    """
    key = canonical_json([run_seed, purpose, origin, problem_id, sample, segment])
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") & 0x7FFF_FFFF
