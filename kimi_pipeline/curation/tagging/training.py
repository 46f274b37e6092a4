"""The stage `tagger`: a classifier trained from the sources that carry labels, or the word that the rules must do.

Belongs here: which problems it learns from, what is held out, its figures. Does not belong here: the model
(`classifier.py`), tagging with it (`stage.py`).

Built-in families are generated from a few templates: they are classes beside a labelled source, but alone they would
teach the templates and not the subjects, so without another labelled source nothing is trained.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from kimi_pipeline.corpora.families.base import SOURCE as BUILTIN
from kimi_pipeline.curation.scope import UNIQUE, in_scope
from kimi_pipeline.curation.tagging.classifier import FOLDS, Classifier, accuracy, calibration_error, fit
from kimi_pipeline.curation.tagging.keywords import rules_digest
from kimi_pipeline.curation.tagging.labels import COLUMNS, source_tags
from kimi_pipeline.curation.taxonomy import OTHER, Tag, taxonomy
from kimi_pipeline.digests import digest
from kimi_pipeline.home import Home
from kimi_pipeline.plots import bars
from kimi_pipeline.problems import is_held_out
from kimi_pipeline.stages import Context, Outcome, Stage

HELD_OUT = 0.2  # share of the labelled problems, by the hash of their text, that only measure
LEAST_PER_CLASS = 4 * FOLDS  # problems; a rarer tag is left to the rules
LEAST_CLASSES = 2


def folder(home: Home) -> Path:
    """Where trained taggers lie, each below its digest."""
    return home.root / "taggers"


def labelled(context: Context) -> list[tuple[str, str, Tag, bool]]:
    """Problems whose source gives a tag, at most `curation.tagger_problems` of them by hash: id, prompt, tag, and
    whether it comes from another source than the built-in families. A tag without a discipline teaches none."""
    found = []
    for rows in context.lake.stream(f"select {COLUMNS}, source from ({UNIQUE})", in_scope(context), rows=20_000):
        names = (rows.column(name).to_pylist() for name in ("problem_id", "prompt", "source"))
        for problem_id, prompt, source, tag in zip(*names, source_tags(rows), strict=True):
            if tag is not None and tag.discipline != OTHER:
                found.append((problem_id, prompt, tag, source != BUILTIN))
    return sorted(found)[: context.profile.curation.tagger_problems]


def train(context: Context) -> Outcome:
    """Fit, measure on what was held out, save. The model that is saved is the one that was measured."""
    problems = labelled(context)
    frequent = {tag for tag, count in Counter(tag for _, _, tag, _ in problems).items() if count >= LEAST_PER_CLASS}
    problems = [one for one in problems if one[2] in frequent]
    taught = {tag for _, _, tag, foreign in problems if foreign}
    if len(taught) < LEAST_CLASSES:
        context.say("  no source carries labels of two disciplines: the rules tag (kimi_pipeline/curation/tagging)")
        return Outcome(
            data_version=digest(["rules", rules_digest(), taxonomy().digest]),
            figures={"tagger": "rules", "labelled_problems": len(problems), "labelled_disciplines": len(taught)},
            outputs={"model": None, "folder": None},
        )
    started, spent = time.monotonic(), time.process_time()
    learnt = [one for one in problems if not is_held_out(one[0], HELD_OUT)]
    model = fit([prompt for _, prompt, _, _ in learnt], [str(tag) for _, _, tag, _ in learnt])
    named = model.save(folder(context.home))
    measured = measure(model, [one for one in problems if is_held_out(one[0], HELD_OUT)])
    plot = bars(
        measured.pop("by_tag"),
        context.home.reports / f"tagger-{context.profile.name}.png",
        title=f"Tagger: share of held-out problems tagged right, {measured['held_out']} in all",
        y="recall",
    )
    return Outcome(
        data_version=named,
        figures={
            "tagger": "trained",
            **measured,
            "trained_on": len(learnt),
            "disciplines": len(model.classes),
            "seconds": round(time.monotonic() - started, 1),
            "cpu_seconds": round(time.process_time() - spent, 1),
        },
        outputs={"model": named, "folder": str(folder(context.home) / named)},
        plots={"recall": plot},
        preview=[
            {"tag": tag, "labelled problems": count}
            for tag, count in Counter(str(tag) for _, _, tag, _ in problems).most_common(10)
        ],
    )


def measure(model: Classifier, problems: Iterable[tuple[str, str, Tag, bool]]) -> dict[str, Any]:
    """The figures of a model on held-out problems: accuracy beside that of the most frequent tag, calibration, recall."""
    known = {name: number for number, name in enumerate(model.classes)}
    kept = [(prompt, known[str(tag)]) for _, prompt, tag, _ in problems if str(tag) in known]
    probabilities = model.probabilities([prompt for prompt, _ in kept])
    wanted = np.array([number for _, number in kept], np.int64)
    right = probabilities.argmax(axis=1) == wanted
    return {
        "accuracy": round(accuracy(probabilities, wanted), 4),
        "majority_baseline": round(float(np.bincount(wanted).max() / len(wanted)), 4),
        "calibration_error": round(calibration_error(probabilities, wanted), 4),
        "held_out": len(kept),
        "by_tag": {
            name.partition("/")[2]: float(right[wanted == number].mean())
            for name, number in known.items()
            if (wanted == number).any()
        },
    }


TAGGER = Stage(
    name="tagger",
    description="Train the tagger from labelled sources; without any, the shipped rules tag",
    group="curation",
    compute=train,
    upstream=("corpus", "duplicates"),
    settings=lambda context: {
        "tagger_problems": context.profile.curation.tagger_problems,
        "taxonomy": taxonomy().digest,
    },
    code=(
        __name__,
        "kimi_pipeline.curation.tagging.classifier",
        "kimi_pipeline.curation.tagging.features",
        "kimi_pipeline.curation.tagging.labels",
        "kimi_pipeline.curation.taxonomy",
    ),
    kinds=("scikitlearn",),
)
