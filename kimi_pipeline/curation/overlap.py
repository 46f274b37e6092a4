"""Overlap: whether a text holds a problem of an evaluation set, is a piece of one, or rewords one.

Belongs here: n-grams, coverage, the span that matches, over Arrow shards. Does not belong here: the stage
(`contamination.py`), rewordings within the corpus (`near.py`).

Whole 13-grams, as language models are decontaminated with [Brown et al. 2020, appendix C], find phrases of a trade
("where m and n are relatively prime positive integers") and lose a problem to one changed word in thirteen. Here the
5-grams that a text shares with a problem mark the tokens that are covered, those that several evaluation problems
have in common count for nothing, and the problem's numbers must all be there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kimi_pipeline.curation.near import STRONG, Texts
from kimi_pipeline.curation.wording import strength, tokens
from kimi_pipeline.curation.words import Words
from kimi_pipeline.reasons import Reason

GRAM = 5
COMMON = 3  # a 5-gram in so many evaluation problems is a phrase of the trade
COVERED = 0.6  # of the evaluation problem's own tokens, for "holds it"; of the row's, for "is a piece of it"
SHORT = 20  # tokens; a shorter evaluation problem is held only where its numbers say much, or little else is there,
LEAST, WHOLE = 10, 0.9  # or where it has so many tokens and so much of it is there
PIECE = 12  # least tokens of a row that counts as a piece
LEAST_HITS = 3  # shared 5-grams below which a row is not looked at


@dataclass(frozen=True)
class Match:
    """Why a row is refused. `span` are offsets into its text, `share` of the tokens covered (1 for a rewording)."""

    reason: Reason
    evaluation_set: str
    problem_id: str
    span: tuple[int, int]
    share: float

    def __str__(self) -> str:
        return f"{self.evaluation_set}:{self.problem_id} prompt:{self.span[0]}-{self.span[1]} share {self.share:.2f}"


class EvaluationIndex:
    """The problems of the evaluation sets, ready to be looked for."""

    def __init__(self, sets: Sequence[str], ids: Sequence[str], texts: Sequence[str], answers: Sequence[str]) -> None:
        self.sets, self.ids, self.texts, self.answers = sets, ids, list(texts), list(answers)
        self.exact = {identity: place for place, identity in reversed(list(enumerate(ids)))}
        words = Words.of(self.texts)
        self.found = list(words)
        self.figures = words.figures()
        self.signed: dict[int, list[int]] = defaultdict(list)
        self.grams: dict[int, list[tuple[int, int]]] = defaultdict(list)
        flat, offsets = words.hashes[words.ids], words.offsets
        self.phrases: list[NDArray[np.uint64]] = []  # every 5-gram of each problem, also what it shares with others
        for place, signed in enumerate(words.signatures().tolist()):
            self.signed[signed].append(place)
            own_grams = grams(flat[offsets[place] : offsets[place + 1]])
            self.phrases.append(np.unique(own_grams))
            for at, gram in enumerate(own_grams.tolist()):
                self.grams[gram].append((place, at))
        # One problem in two sets is one problem: texts are counted, not rows.
        own = [tuple(found) for found in self.found]
        common = [g for g, where in self.grams.items() if len({own[place] for place, _ in where}) >= COMMON]
        for gram in common:
            del self.grams[gram]
        self.known = np.array(sorted(self.grams), np.uint64)
        self.reach = [0] * len(self.found)  # tokens that a 5-gram of its own covers
        places: dict[int, set[int]] = defaultdict(set)
        for where in self.grams.values():
            for place, at in where:
                places[place].update(range(at, at + GRAM))
        for place, covered in places.items():
            self.reach[place] = len(covered)

    def held(
        self, row: list[str], figures: list[str], gram_hashes: list[int]
    ) -> tuple[int, Reason, int, int, float] | None:
        """The evaluation problem that a row holds or is a piece of: its place, reason, first and last token, share."""
        in_row: dict[int, set[int]] = defaultdict(set)
        in_problem: dict[int, set[int]] = defaultdict(set)
        for at, gram in enumerate(gram_hashes):
            for place, there in self.grams.get(gram, ()):
                in_row[place].update(range(at, at + GRAM))
                in_problem[place].update(range(there, there + GRAM))
        best = None
        have = Counter(figures)
        for place, covered in in_row.items():
            wanted = Counter(self.figures[place])
            of_problem = len(in_problem[place]) / self.reach[place]
            of_row = len(covered) / len(row)
            share = 0.0
            if of_problem >= COVERED and not wanted - have:
                small = len(self.found[place]) < SHORT and strength(self.figures[place]) < STRONG
                whole = len(in_problem[place]) >= max(LEAST, WHOLE * len(self.found[place]))
                share = of_problem if not small or whole or of_row >= COVERED else 0.0
            elif len(row) >= PIECE and not have - wanted:
                # A piece of a template is mostly phrases that other problems have as well: with numbers that say much and
                # nearly every word in this one problem, it is a piece of this one.
                if of_row < COVERED and strength(figures) >= STRONG:
                    whole_row = self._covered(place, gram_hashes) / len(row)
                    of_row = whole_row if whole_row >= WHOLE else of_row
                share = of_row if of_row >= COVERED else 0.0
            if share and (best is None or (share, -place) > (best[4], -best[0])):
                best = (place, Reason.EVALUATION_OVERLAP, min(covered), max(covered), share)
        return best

    def _covered(self, place: int, gram_hashes: list[int]) -> int:
        """How many of a row's tokens the 5-grams of a problem cover, phrases of the trade as well."""
        shared = np.isin(np.array(gram_hashes, np.uint64), self.phrases[place])
        covered = np.zeros(len(shared) + GRAM - 1, bool)
        for shift in range(GRAM):
            covered[shift : shift + len(shared)] |= shared
        return int(covered.sum())


def grams(flat: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The hash of the 5-gram that begins at each token (none for the last four)."""
    length = max(0, len(flat) - GRAM + 1)
    mixed = np.zeros(length, np.uint64)
    for shift in range(GRAM):
        mixed = (mixed * np.uint64(0x9E3779B97F4A7C15)) ^ (flat[shift : shift + length] >> np.uint64(1))
        mixed ^= mixed >> np.uint64(29)
    return mixed


@lru_cache(maxsize=1)
def index(stored: bytes) -> EvaluationIndex:
    """The index of an Arrow stream with evaluation_set, problem_id, prompt and answer."""
    rows = pa.ipc.open_stream(stored).read_all()
    return EvaluationIndex(*(rows.column(name).to_pylist() for name in rows.column_names))


def matches(known: EvaluationIndex, ids: list[str], texts: list[str], answers: list[str | None]) -> list[Match | None]:
    """For each text the evaluation problem that it copies, holds, is a piece of, or rewords."""
    words = Words.of(texts)
    figures = words.figures()
    flat, offsets = words.hashes[words.ids], words.offsets
    all_grams = grams(flat)
    hits = np.zeros(len(flat) + 1, np.int64)
    if len(known.known) and len(all_grams):
        where = np.minimum(np.searchsorted(known.known, all_grams), len(known.known) - 1)
        hits[1 : len(all_grams) + 1] = known.known[where] == all_grams
    total = np.cumsum(hits)
    ends = np.maximum(offsets[1:] - GRAM + 1, offsets[:-1])  # 5-grams that run over a text's end don't count
    count = total[ends] - total[offsets[:-1]]
    least = np.minimum(LEAST_HITS, np.maximum(ends - offsets[:-1], 1))
    result: list[Match | None] = [None] * len(ids)
    for row in np.flatnonzero(count >= least):
        held = known.held(words[row], figures[row], all_grams[offsets[row] : ends[row]].tolist())
        if held:
            place, reason, first, last, share = held
            span = (_offset(texts[row], first, before=True), _offset(texts[row], last + 1, before=False))
            result[row] = Match(reason, known.sets[place], known.ids[place], span, share)
    for row, place in _reworded(known, texts, answers, words.signatures().tolist()):
        if result[row] is None:
            whole = (0, len(texts[row]))
            result[row] = Match(Reason.EVALUATION_REWORDING, known.sets[place], known.ids[place], whole, 1.0)
    for row, identity in enumerate(ids):
        if identity in known.exact:
            place = known.exact[identity]
            whole = (0, len(texts[row]))
            result[row] = Match(Reason.EVALUATION_COPY, known.sets[place], known.ids[place], whole, 1.0)
    return result


def _reworded(
    known: EvaluationIndex, texts: list[str], answers: list[str | None], signed: list[int]
) -> list[tuple[int, int]]:
    """Rows and the evaluation problems that they reword: the rule of near-duplicates."""
    pairs = [(row, place) for row, each in enumerate(signed) for place in known.signed.get(each, ())]
    if not pairs:
        return []
    rows = sorted({row for row, _ in pairs})
    at = {row: k for k, row in enumerate(rows)}
    both = Texts.of([texts[row] for row in rows] + known.texts, [answers[row] for row in rows] + list(known.answers))
    left = np.array([at[row] for row, _ in pairs], np.int64)
    right = np.array([len(rows) + place for _, place in pairs], np.int64)
    confirmed = zip(*(side.tolist() for side in both.confirm(left, right)), strict=True)
    return [(rows[one], other - len(rows)) for one, other in confirmed]


def _offset(text: str, count: int, *, before: bool) -> int:
    """Where in a text its first `count` tokens end; with `before`, where the next one begins."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + before) // 2
        if before:
            low, high = (middle, high) if len(tokens(text[:middle])) <= count else (low, middle - 1)
        else:
            low, high = (low, middle) if len(tokens(text[:middle])) >= count else (middle + 1, high)
    return low
