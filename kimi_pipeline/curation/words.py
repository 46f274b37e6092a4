"""Words: the tokens of many texts as arrays, found in one pass over all of them.

Belongs here: what `wording.py` says of one text, for a shard. Does not belong here: the rules themselves, comparing
(`near.py`, `overlap.py`).

A text is split at its spaces, and what stands between two of them is looked at once for each different one: a shard has a
million of them and a few thousand different ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from rensa import RMinHash

from kimi_pipeline.curation import wording

Rows = NDArray[np.int64]
Hashes = NDArray[np.uint64]

_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Words:
    """`ids[offsets[k]:offsets[k + 1]]` are the tokens of text k, as places in `vocabulary`; `label_ids` its labels in
    capitals alike."""

    vocabulary: list[str]
    ids: Rows
    offsets: Rows
    label_ids: Rows
    label_rows: Rows

    @classmethod
    def of(cls, texts: Sequence[str]) -> Words:
        """The same tokens as `wording.tokens` finds in each text."""
        chunks = pc.utf8_split_whitespace(pa.array(map(wording.without_style, texts), pa.large_string()))
        encoded = chunks.flatten().dictionary_encode()
        chunk, seen = encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()
        chunk_row = pc.list_parent_indices(chunks).to_numpy()
        numbered: defaultdict[str, int] = defaultdict(count().__next__)
        row, raw = _number_words(*_found(chunk, chunk_row, map(wording.chunk_tokens, seen), numbered), numbered)
        spelled, vocabulary = _spelled(numbered)
        ids = spelled[raw]
        kept = ids >= 0
        row, ids = row[kept], ids[kept]
        places = defaultdict(count(len(vocabulary)).__next__, {word: k for k, word in enumerate(vocabulary)})
        label_rows, label_ids = _found(chunk, chunk_row, map(wording.LABEL.findall, seen), places)
        order = np.lexsort((_ranks(list(places))[label_ids], label_rows))
        label_rows, label_ids = label_rows[order], label_ids[order]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(texts)))])
        return cls(list(places), ids, offsets, label_ids, label_rows)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[list[str]]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, row: int) -> list[str]:
        """The tokens of a text."""
        return [self.vocabulary[k] for k in self.ids[self.offsets[row] : self.offsets[row + 1]].tolist()]

    @cached_property
    def rows(self) -> Rows:
        """The text of each token."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @cached_property
    def hashes(self) -> Hashes:
        """A hash of each word of the vocabulary."""
        return np.array(RMinHash.hash_token_sets([self.vocabulary])[0], np.uint64)

    @cached_property
    def _figures(self) -> tuple[Rows, Rows]:
        """Text and token of each number, in order, the labels behind."""
        number = np.fromiter(map(wording.is_number, self.vocabulary), np.bool_, len(self.vocabulary))
        at = np.flatnonzero(number[self.ids])
        return np.concatenate([self.rows[at], self.label_rows]), np.concatenate([self.ids[at], self.label_ids])

    def figures(self) -> list[list[str]]:
        """What `wording.numbers` gives for each text."""
        rows, ids = self._figures
        found: list[list[str]] = [[] for _ in range(len(self))]
        for row, k in zip(rows.tolist(), ids.tolist(), strict=True):
            found[row].append(self.vocabulary[k])
        return found

    def signatures(self) -> Rows:
        """`wording.signature` of each text."""
        rows, ids = self._figures
        total = np.zeros(len(self), np.uint64)
        np.add.at(total, rows, self._number_hashes[ids])
        return (total >> np.uint64(1)).astype(np.int64)

    @cached_property
    def _number_hashes(self) -> Hashes:
        found = np.zeros(len(self.vocabulary), np.uint64)
        for k in np.unique(self._figures[1]).tolist():
            found[k] = wording.number_hash(self.vocabulary[k])
        return found

    def in_order(self) -> Hashes:
        """A hash of each text's numbers in their order."""
        rows, ids = self._figures
        order = np.argsort(rows, kind="stable")
        rows, ids = rows[order], ids[order]
        place = np.arange(len(rows)) - np.searchsorted(rows, rows)
        mixed = (self._number_hashes[ids] ^ (place.astype(np.uint64) + np.uint64(1)) * _MIX) * _MIX
        mixed = (mixed ^ (mixed >> np.uint64(29))) * _MIX
        total = np.zeros(len(self), np.uint64)
        np.add.at(total, rows, mixed)
        return total

    def strength(self) -> Rows:
        """`wording.strength` of each text."""
        rows, ids = self._figures
        different = np.unique(rows * len(self.vocabulary) + ids)
        rows, ids = np.divmod(different, max(1, len(self.vocabulary)))
        says = np.zeros(len(self.vocabulary), np.int64)
        for k in np.unique(ids).tolist():
            says[k] = wording.says(self.vocabulary[k])
        return np.bincount(rows, says[ids], len(self)).astype(np.int64)


def _found(chunk: Rows, row: Rows, what: Iterable[list[str]], numbered: defaultdict[str, int]) -> tuple[Rows, Rows]:
    """Row and number of all that the chunks hold, in order. `what`: what each different chunk holds."""
    found = list(what)
    size = np.fromiter(map(len, found), np.int64, len(found))
    flat = np.fromiter((numbered[each] for held in found for each in held), np.int64, int(size.sum()))
    full = size[chunk] > 0
    chunk, row = chunk[full], row[full]
    long = size[chunk]
    shift = (np.cumsum(size) - size)[chunk] - (np.cumsum(long) - long)
    return np.repeat(row, long), flat[np.repeat(shift, long) + np.arange(int(long.sum()))]


def _ranks(words: list[str]) -> Rows:
    """The place of each word in alphabetical order."""
    ranks = np.empty(len(words), np.int64)
    ranks[sorted(range(len(words)), key=words.__getitem__)] = np.arange(len(words))
    return ranks


def _number_words(row: Rows, raw: Rows, numbered: defaultdict[str, int]) -> tuple[Rows, Rows]:
    """Texts in which number words belong together ("two hundred") with digits; words alone are left to `_spelled`."""
    words = list(numbered)
    part = np.fromiter((word in wording.PARTS for word in words), np.bool_, len(words))[raw]
    scale = np.fromiter((word in wording.SCALES for word in words), np.bool_, len(words))[raw]
    beside = part[1:] & part[:-1] & (row[1:] == row[:-1])
    rows = np.unique(np.concatenate([row[scale], row[1:][beside]]))
    if not len(rows):
        return row, raw
    starts, ends = np.searchsorted(row, rows), np.searchsorted(row, rows, "right")
    pieces, last = [], 0
    for each, start, end in zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True):
        digits = wording.with_digits([words[k] for k in raw[start:end].tolist()])
        made = np.array([numbered[word] for word in digits], np.int64)
        pieces += [(row[last:start], raw[last:start]), (np.full(len(made), each), made)]
        last = end
    pieces.append((row[last:], raw[last:]))
    return np.concatenate([one for one, _ in pieces]), np.concatenate([other for _, other in pieces])


def _spelled(numbered: defaultdict[str, int]) -> tuple[Rows, list[str]]:
    """For each token its place in the vocabulary of one spelling each, -1 where it says nothing; that vocabulary."""
    places: defaultdict[str, int] = defaultdict(count().__next__)
    words = (wording.one_spelling(wording.with_digits([word])[0]) for word in numbered)
    spelled = np.fromiter((places[word] if word else -1 for word in words), np.int64, len(numbered))
    return spelled, list(places)
