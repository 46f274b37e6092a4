"""Features of a text: words, pairs and triples of neighbouring words, each also with variables and endings dropped.

Belongs here: the way from texts to a sparse matrix of counts. Does not belong here: weighting and classes
(`classifier.py`).

scikit-learn's vectorizers put n-grams together as Python strings: words alone to pairs took 61 microseconds a problem of
MATH, characters 228. Here an n-gram is a number (the place of its beginning among the known ones, and of its last word),
so that only splitting a text is done text by text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from kimi_pipeline.corpora.options import DRAWING

if TYPE_CHECKING:
    from scipy import sparse

LONGEST_TEXT = 8_000  # characters; the subject shows long before
LEAST_TEXTS = 2  # texts that a feature must occur in
STEM = 5  # letters

Ids = np.ndarray[Any, np.dtype[np.int64]]

_DIGITS = str.maketrans("123456789", "0" * 9)  # which numbers a problem has says little, how long they are something
_TOKEN = re.compile(r"\\[a-z]+|[a-z]+|0+|[\u3400-\u9fff]|[^\sa-z0]")


def tokens(text: str) -> list[str]:
    """Words, LaTeX commands, numbers (as zeros) and signs of a text in lower case; a drawing's code is one token."""
    text = text[:LONGEST_TEXT].lower().translate(_DIGITS)
    if "[asy]" in text:
        text = DRAWING.sub(r" \\asydrawing ", text)
    return _TOKEN.findall(text)


def stem(token: str) -> str:
    """A token without what rarely matters: single letters are variables, long words end after five letters."""
    return "v" if len(token) == 1 and "a" <= token <= "z" else token[:STEM]


@dataclass(frozen=True, slots=True)
class Grams:
    """The known n-grams of one stream of tokens: words, and pairs and triples as sorted codes."""

    words: dict[str, int]
    pairs: Ids
    triples: Ids

    def __len__(self) -> int:
        return len(self.words) + len(self.pairs) + len(self.triples)

    @classmethod
    def fit(cls, texts: Sequence[Sequence[str]]) -> Grams:
        """The n-grams that occur in at least `LEAST_TEXTS` texts."""
        seen = Counter(chain.from_iterable(map(set, texts)))
        words = {word: place for place, word in enumerate(sorted(w for w, n in seen.items() if n >= LEAST_TEXTS))}
        none = np.empty(0, np.int64)
        found = cls(words, none, none)
        ids, rows = found.ids(chain.from_iterable(texts)), row_numbers(texts)
        pairs = _frequent(*found.codes(ids, ids, rows, 1))
        found = cls(words, pairs, none)
        return cls(words, pairs, _frequent(*found.codes(_places(pairs, found.pair_codes(ids, rows)), ids, rows, 2)))

    def ids(self, flat: Iterable[str]) -> Ids:
        """The number of each token; -1 for an unknown one."""
        get = self.words.get
        return np.fromiter((get(token, -1) for token in flat), np.int64)

    def codes(self, first: Ids, ids: Ids, rows: Ids, width: int) -> tuple[Ids, Ids]:
        """The code of each n-gram of `width` + 1 tokens, and its row: beginnings `first` by place, then the last word.

        -1 where a part is unknown or belongs to another text.
        """
        if len(ids) <= width:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        begin, last = first[: len(ids) - width], ids[width:]
        known = (begin >= 0) & (last >= 0) & (rows[:-width] == rows[width:])
        return np.where(known, begin * len(self.words) + last, -1), rows[:-width]

    def pair_codes(self, ids: Ids, rows: Ids) -> Ids:
        """The code of the pair that begins at each token."""
        return np.append(self.codes(ids, ids, rows, 1)[0], -1) if len(ids) else ids

    def columns(self, ids: Ids, rows: Ids) -> tuple[Ids, Ids]:
        """Every occurrence of a known n-gram among tokens by number: its row and its column."""
        pairs = _places(self.pairs, self.pair_codes(ids, rows))
        triples = _places(self.triples, self.codes(pairs, ids, rows, 2)[0])
        parts = [(ids, 0), (pairs, len(self.words)), (triples, len(self.words) + len(self.pairs))]
        return (
            np.concatenate([rows[: len(found)][found >= 0] for found, _ in parts]),
            np.concatenate([found[found >= 0] + offset for found, offset in parts]),
        )


def row_numbers(texts: Sequence[Sequence[str]]) -> Ids:
    """The row of each token of all texts."""
    return np.repeat(np.arange(len(texts)), np.fromiter(map(len, texts), np.int64, len(texts)))


def _frequent(codes: Ids, rows: Ids) -> Ids:
    known = codes >= 0
    occurrences = np.unique(np.stack([codes[known], rows[known]], axis=1), axis=0)
    values, texts = np.unique(occurrences[:, 0], return_counts=True)
    return values[texts >= LEAST_TEXTS]


def _places(known: Ids, codes: Ids) -> Ids:
    """The place of each code among the known ones; -1 where it is not there."""
    if not len(known):
        return np.full(len(codes), -1, np.int64)
    places = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    return np.where(known[places] == codes, places, -1)


@dataclass(frozen=True, slots=True)
class Features:
    """Texts as counts of n-grams in two streams: tokens as they are, and their stems."""

    plain: Grams
    stems: Grams

    def __len__(self) -> int:
        return len(self.plain) + len(self.stems)

    @classmethod
    def fit(cls, texts: Sequence[str]) -> Features:
        split = [tokens(text) for text in texts]
        return cls(Grams.fit(split), Grams.fit([[stem(token) for token in text] for text in split]))

    def counts(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """One row a text, one column a feature: how often it occurs (float32)."""
        from scipy import sparse  # takes a quarter of a second that every start of the definitions would wait

        split = [tokens(text) for text in texts]
        flat, rows = list(chain.from_iterable(split)), row_numbers(split)
        coded = pa.array(flat, pa.string()).dictionary_encode()
        distinct, place = coded.dictionary.to_pylist(), coded.indices.to_numpy()
        at, columns = self.plain.columns(self.plain.ids(distinct)[place], rows)
        at_stem, stem_columns = self.stems.columns(self.stems.ids(map(stem, distinct))[place], rows)
        where = np.concatenate([at, at_stem]), np.concatenate([columns, stem_columns + len(self.plain)])
        ones = np.ones(len(where[0]), np.float32)
        return sparse.csr_matrix((ones, where), shape=(len(texts), len(self)))  # adds up repeated places
