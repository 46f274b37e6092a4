"""The built-in corpus as source rows, and the built-in evaluation set.

Belongs here: the hand-over from the families to the same reading path that files take. Does not belong here: families
and planted rows themselves (`families/`).
"""

from __future__ import annotations

from collections.abc import Iterator

from kimi_pipeline.corpora.families import drawing
from kimi_pipeline.corpora.families.planted import builtin_rows
from kimi_pipeline.corpora.families.registry import chosen, to_evaluate
from kimi_pipeline.corpora.formats import RawRow
from kimi_pipeline.problems import Problem
from kimi_pipeline.profiles import Profile
from kimi_pipeline.reasons import Reason

EVALUATION_SET = "builtin-held-out"
CORPUS_SEED = 20250122  # the corpus and its held-out problems are data: they do not move with the run's seed


def evaluation_problems(profile: Profile) -> list[Problem]:
    """Held-out problems of the profile's hard families, in equal parts."""
    corpora = profile.corpora
    hard = to_evaluate(chosen(corpora.families).values())
    return drawing.evaluation_problems(CORPUS_SEED, hard, corpora.evaluation_problems, corpora.held_out_share)


def read_builtin(profile: Profile) -> Iterator[RawRow]:
    """The corpus as rows, like a file's: what is not text arrives as bytes and gets its reason here."""
    settings = profile.corpora
    rows = builtin_rows(
        CORPUS_SEED,
        settings.problems_per_family,
        settings.held_out_share,
        evaluation_problems(profile),
        settings.max_text_bytes,
        settings.families,
    )
    for number, values in enumerate(rows, start=1):
        planted = values.get("planted")
        broken = next((value for value in values.values() if isinstance(value, bytes)), None)
        if broken is not None:
            yield RawRow(str(number), None, broken, Reason.INVALID_UTF8, "bytes in a text field", planted)
        else:
            yield RawRow(str(number), values)
