"""The rules tagger: words that speak for a tag, counted in whole columns.

Belongs here: the shipped rules. Does not belong here: the words (`keywords.toml`).
Its confidence is the share of the hits that speak for the tag: an order among problems, no probability.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kimi_pipeline.curation.taxonomy import OTHER, Tag, taxonomy
from kimi_pipeline.digests import file_digest

FILE = Path(__file__).with_name("keywords.toml")
LONGEST_TEXT = 8_000  # characters
NOTHING = Tag("general_reasoning", OTHER)

Array = np.ndarray[Any, np.dtype[Any]]


@cache
def rules() -> tuple[tuple[Tag, str], ...]:
    """Each tag with its pattern (RE2). Raises ValueError for a tag that the taxonomy does not have."""
    found = []
    for entry in tomllib.loads(FILE.read_text())["tag"]:
        tag = taxonomy().parse(entry["name"])
        if tag is None:
            raise ValueError(f"{FILE.name}: {entry['name']!r} is no tag of the taxonomy")
        # \b does not hold beside a backslash, and in Chinese there is none.
        words = [word for word in _alternatives(entry["en"]) if not word.startswith("\\\\")]
        commands = [word for word in _alternatives(entry["en"]) if word.startswith("\\\\")]
        parts = [rf"\b(?:{'|'.join(words)})\b", *([f"(?:{'|'.join(commands)})\\b"] if commands else []), entry["zh"]]
        found.append((tag, "(?i)" + "|".join(f"(?:{part})" for part in parts)))
    return tuple(found)


def rules_digest() -> str:
    return file_digest(FILE)


def tag_by_words(prompts: pa.Array, domains: Collection[str] | None = None) -> tuple[list[Tag], Array, Array]:
    """The tag of each prompt, the share of hits that speak for it, and how many those are.

    The first tag listed wins a tie; no hit at all gives `general_reasoning/other` with a share of 0. `domains`: look for
    the tags of these alone.
    """
    asked = [(tag, pattern) for tag, pattern in rules() if domains is None or tag.domain in domains]
    if not asked or not len(prompts):
        return [NOTHING] * len(prompts), np.zeros(len(prompts)), np.zeros(len(prompts), np.int64)
    text = pc.utf8_slice_codeunits(prompts, 0, LONGEST_TEXT)
    hits = np.stack([pc.count_substring_regex(text, pattern).to_numpy(zero_copy_only=False) for _, pattern in asked])
    best, total = hits.argmax(axis=0), hits.sum(axis=0)
    most = hits.max(axis=0)
    tags = [asked[place][0] if count else NOTHING for place, count in zip(best.tolist(), most.tolist(), strict=True)]
    return tags, most / np.maximum(total, 1), most


def language(prompts: pa.Array, declared: pa.Array) -> pa.Array:
    """`zh` where a prompt has more Chinese characters than Latin words, else what the source declares."""
    chinese = pc.match_substring_regex(prompts, r"\p{Han}")
    if not pc.any(chinese).as_py():
        return declared
    han = pc.count_substring_regex(prompts, r"\p{Han}")
    words = pc.count_substring_regex(prompts, r"[A-Za-z]{3,}")
    return pc.if_else(pc.greater(han, words), "zh", declared)


def _alternatives(pattern: str) -> list[str]:
    """The parts of a pattern between its outermost bars."""
    parts, depth = [""], 0
    for character in pattern:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
