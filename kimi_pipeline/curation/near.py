"""Near-duplicates: rewordings of one problem, found among the problems with the same numbers.

Belongs here: signatures, candidate pairs, their confirmation, clusters, as functions over Arrow shards. Does not belong
here: the stage and which row is kept (`duplicates.py`), tokens (`wording.py`, `words.py`).

Problems are first split by the multiset of their numbers, so that 100,000 problems of one template never meet, and no
chain of rewordings can join two problems with other numbers. Within a group all pairs are candidates where it is small,
and those that share a band of their MinHash where it is large [Broder 1997; Leskovec et al., Mining of Massive Datasets,
3.4]. A candidate is confirmed by exact Jaccard similarity of the token sets, at a threshold that falls with what the
equal numbers say already, unless something turns one problem into another: an opposite word, another function or
variable, numbers that changed places, another answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rensa import RMinHash

from kimi_pipeline.curation.wording import FUNCTIONS, LETTERS, OPPOSITES, moved_together, tokens
from kimi_pipeline.curation.words import Hashes, Rows, Words

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PERMUTATIONS, BANDS = 128, 32  # four rows a band: found with p > 0.99 from a similarity of 0.6
SEED = 20250122
ALL_PAIRS = 64  # problems of a group up to which every pair is looked at
PAIRS_AT_ONCE = 100_000  # bounds memory
ANSWER_TOKENS = 6  # longer answers are worked solutions, whose wording says nothing
STRONG = 6
THRESHOLDS = ((STRONG, 0.6), (3, 0.65), (1, 0.75), (0, 0.85))
"""Least similarity by the strength of the equal numbers (`wording.strength`)."""
IN_ORDER = 0.4
"""Least similarity where strong numbers also stand in the same order: a frame of words ("can be written as m/n, where
m and n are ...") may be all that differs."""


def signatures(rows: pa.Table) -> pa.Table:
    """problem_id and signature of rows with problem_id and text."""
    signed = Words.of(rows.column("text").to_pylist()).signatures()
    return pa.table({"problem_id": rows.column("problem_id"), "signature": pa.array(signed, pa.int64())})


def clusters(rows: pa.Table) -> pa.Table:
    """problem_id and cluster (its smallest problem_id) of the problems that have a near-duplicate among `rows`.

    Rows have problem_id, signature, text and answer; those of one signature must all be there.
    """
    rows = rows.sort_by([(name, "ascending") for name in ("signature", "problem_id", "answer")])
    ids = rows.column("problem_id").to_pylist()
    once = [k for k in range(len(ids)) if k == 0 or ids[k] != ids[k - 1]]  # exact duplicates share their id
    if len(once) < len(ids):
        rows, ids = rows.take(once), [ids[k] for k in once]
    signed = rows.column("signature").to_numpy()
    texts = Texts.of(rows.column("text").to_pylist(), rows.column("answer").to_pylist())
    label = texts.joined(*_candidates(signed, texts))
    count = int(label.max(initial=-1)) + 1
    size = np.bincount(label, minlength=count)
    first = np.full(count, len(ids), np.int64)
    np.minimum.at(first, label, np.arange(len(ids)))
    members = np.flatnonzero(size[label] > 1)
    return pa.table(
        {
            "problem_id": pa.array([ids[k] for k in members], pa.string()),
            "cluster": pa.array([ids[k] for k in first[label[members]]], pa.string()),
        }
    )


def whole_groups(batches: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Shards of about `rows` rows out of batches that are sorted by signature; no signature is in two shards."""
    held: list[pa.Table] = []
    for batch in batches:
        held.append(batch)
        if sum(each.num_rows for each in held) < rows:
            continue
        whole = pa.concat_tables(held)
        signed = whole.column("signature").to_numpy()
        cut = int(np.searchsorted(signed, signed[-1]))  # the last group may go on
        if cut:
            yield whole.slice(0, cut)
        held = [whole.slice(cut)]
    if held:
        yield pa.concat_tables(held)


@dataclass(frozen=True)
class Texts:
    """Texts as arrays, for the comparison of many pairs.

    `sets` has a row a text and a column a word, `marks` counts the words that turn a problem into another.
    """

    words: Words
    sets: csr_matrix
    sizes: Rows
    marks: NDArray[np.int16]
    order: Hashes
    answer: Rows
    strength: Rows

    @classmethod
    def of(cls, texts: Sequence[str], answers: Sequence[str | None]) -> Texts:
        from scipy.sparse import csr_matrix  # takes a fifth of a second that every start of the definitions would wait

        words = Words.of(texts)
        sets = csr_matrix(
            (np.ones(len(words.ids), np.int32), words.ids, words.offsets), shape=(len(words), len(words.vocabulary))
        )
        sets.sum_duplicates()
        sets.data[:] = 1
        return cls(
            words=words,
            sets=sets,
            sizes=np.diff(sets.indptr).astype(np.int64),
            marks=_marks(words),
            order=words.in_order(),
            answer=np.array([_answer(answer) for answer in answers], np.int64),
            strength=words.strength(),
        )

    def joined(self, left: Rows, right: Rows) -> Rows:
        """A number for each text, the same for those that the confirmed pairs join.

        Pairs whose numbers stand in another order are looked at one by one, and only where no others join them.
        """
        left, right, in_order = self._similar(left, right)
        label = _components(left[in_order], right[in_order], len(self.words))
        rest = np.flatnonzero(~in_order & (label[left] != label[right]))
        parent = list(range(int(label.max(initial=-1)) + 1))

        def root(of: int) -> int:
            while parent[of] != of:
                parent[of] = of = parent[parent[of]]
            return of

        for one, other in zip(left[rest].tolist(), right[rest].tolist(), strict=True):
            here, there = root(label[one]), root(label[other])
            if here != there and self._moved_together(one, other):
                parent[here] = there
        _, found = np.unique(np.array([root(k) for k in range(len(parent))], np.int64)[label], return_inverse=True)
        return found

    def confirm(self, left: Rows, right: Rows) -> tuple[Rows, Rows]:
        """The pairs that are rewordings of one problem."""
        left, right, good = self._similar(left, right)
        for place in np.flatnonzero(~good):
            good[place] = self._moved_together(left[place], right[place])
        return left[good], right[good]

    def _moved_together(self, left: int, right: int) -> bool:
        return moved_together(self.words[left], self.words[right])

    def _similar(self, left: Rows, right: Rows) -> tuple[Rows, Rows, NDArray[np.bool_]]:
        """The pairs that are similar enough and turned by nothing; which have their numbers in the same order."""
        kept = [
            self._compared(left[start : start + PAIRS_AT_ONCE], right[start : start + PAIRS_AT_ONCE])
            for start in range(0, max(1, len(left)), PAIRS_AT_ONCE)
        ]
        one, other, in_order = (np.concatenate([part[k] for part in kept]) for k in range(3))
        return one, other, in_order

    def _compared(self, left: Rows, right: Rows) -> tuple[Rows, Rows, NDArray[np.bool_]]:
        common = np.asarray(self.sets[left].multiply(self.sets[right]).sum(axis=1)).ravel()
        similarity = common / np.maximum(self.sizes[left] + self.sizes[right] - common, 1)
        in_order = self.order[left] == self.order[right]
        strong = self.strength[left]
        needed = np.select([strong >= least for least, _ in THRESHOLDS], [share for _, share in THRESHOLDS])
        needed = np.where(in_order & (strong >= STRONG), IN_ORDER, needed)
        answered = (self.answer[left] != 0) & (self.answer[right] != 0)
        good = (similarity >= needed) & ~(answered & (self.answer[left] != self.answer[right]))
        left, right, in_order = left[good], right[good], in_order[good]
        good = ~_turned(self.marks[left] - self.marks[right])
        return left[good], right[good], in_order[good]


def _answer(answer: str | None) -> int:
    """A short answer as a number that tells it from others; 0 where there is none or it is a worked solution."""
    found = tokens(answer) if answer and len(answer) < 80 else []
    return hash(tuple(found)) or 1 if 0 < len(found) <= ANSWER_TOKENS else 0


_PAIRED = chain.from_iterable(OPPOSITES)
_MARKS = {word: column for column, word in enumerate(dict.fromkeys([*FUNCTIONS, *LETTERS, *_PAIRED]))}
_LETTERS = slice(len(FUNCTIONS), len(FUNCTIONS) + len(LETTERS))
_NESTED = len(_MARKS)  # the column of f(f(x)): letters that follow themselves
_ONES = [_MARKS[one] for one, _ in OPPOSITES]
_OTHERS = [_MARKS[other] for _, other in OPPOSITES]


def _marks(words: Words) -> NDArray[np.int16]:
    column = np.fromiter((_MARKS.get(word, -1) for word in words.vocabulary), np.int64, len(words.vocabulary))[
        words.ids
    ]
    marked = np.flatnonzero(column >= 0)
    letter = (column >= _LETTERS.start) & (column < _LETTERS.stop)
    again = np.flatnonzero(letter[:-1] & (column[:-1] == column[1:]) & (words.rows[:-1] == words.rows[1:]))
    at = np.concatenate(
        [words.rows[marked] * (_NESTED + 1) + column[marked], words.rows[again] * (_NESTED + 1) + _NESTED]
    )
    return np.bincount(at, minlength=len(words) * (_NESTED + 1)).reshape(len(words), _NESTED + 1).astype(np.int16)


def _components(left: Rows, right: Rows, count: int) -> Rows:
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    graph = csr_matrix((np.ones(len(left), np.int8), (left, right)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _turned(differences: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Pairs in which a function, how often one is applied to itself, a variable or an opposite word differs."""
    letters = differences[:, _LETTERS]
    return np.asarray(
        (differences[:, : len(FUNCTIONS)] != 0).any(axis=1)
        | (differences[:, _NESTED] != 0)
        | ((letters > 0).any(axis=1) & (letters < 0).any(axis=1))
        | (differences[:, _ONES] * differences[:, _OTHERS] < 0).any(axis=1)
    )


def _candidates(signed: NDArray[np.int64], texts: Texts) -> tuple[Rows, Rows]:
    """Pairs of rows worth a look; rows are sorted by signature."""
    starts = np.flatnonzero(np.concatenate([[True], signed[1:] != signed[:-1]]))
    sizes = np.diff(np.concatenate([starts, [len(signed)]]))
    pairs = [np.zeros((2, 0), np.int64)]
    for size in np.unique(sizes[(sizes > 1) & (sizes <= ALL_PAIRS)]):
        one, other = np.triu_indices(int(size), 1)
        base = starts[sizes == size][:, None]
        pairs.append(np.stack([(base + one).ravel(), (base + other).ravel()]))
    large = np.flatnonzero(np.repeat(sizes > ALL_PAIRS, sizes))
    if len(large):
        pairs.append(_by_bands(large, signed[large], texts))
    left, right = np.concatenate(pairs, axis=1)
    return left, right


def _by_bands(rows: Rows, signed: NDArray[np.int64], texts: Texts) -> NDArray[np.int64]:
    """Pairs of rows that share signature and a band, each row with the first and the one before it of its bucket, so
    that a bucket of n rows gives at most 2n pairs."""
    sets = texts.sets[rows]
    flat, offsets = texts.words.hashes[sets.indices], sets.indptr
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(flat, offsets.astype(np.uint64), PERMUTATIONS, SEED)
    digests = np.array(matrix.to_rows(), np.uint64).reshape(len(rows), BANDS, -1)
    mixed = np.zeros((len(rows), BANDS), np.uint64)
    for column in range(digests.shape[2]):
        mixed = (mixed * np.uint64(0x9E3779B97F4A7C15)) ^ (digests[:, :, column] + np.uint64(0x7F4A7C15))
    pairs = []
    for band in range(BANDS):
        keys = mixed[:, band]
        order = np.lexsort((rows, keys, signed))
        new = np.concatenate(
            [[True], (keys[order][1:] != keys[order][:-1]) | (signed[order][1:] != signed[order][:-1])]
        )
        first = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
        later = np.flatnonzero(~new)
        pairs += [np.stack([rows[order[before]], rows[order[later]]]) for before in (first[later], later - 1)]
    left, right = np.concatenate(pairs, axis=1)
    return np.stack(np.divmod(np.unique(left * len(texts.words) + right), len(texts.words)))
