"""The stage `problem_tags`: a tag for every problem of the run, by the best that knows it.

Belongs here: the order of precedence (a person, the source, a model, the classifier, the rules), writing tags, their figures.
Does not belong here: how any of them finds a tag, asking about unsure ones (`doubts.py`).
"""

from __future__ import annotations

import time
from functools import cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kimi_pipeline import tables
from kimi_pipeline.curation.people import settled, settled_digest
from kimi_pipeline.curation.review import TAG
from kimi_pipeline.curation.scope import UNIQUE, in_scope, problem_shards
from kimi_pipeline.curation.tagging.by_model import MODEL, tag_by_model
from kimi_pipeline.curation.tagging.by_model import settings as model_settings
from kimi_pipeline.curation.tagging.classifier import Classifier
from kimi_pipeline.curation.tagging.doubts import ask_about_doubts
from kimi_pipeline.curation.tagging.keywords import language, rules_digest, tag_by_words
from kimi_pipeline.curation.tagging.labels import COLUMNS, grades, source_tags
from kimi_pipeline.curation.tagging.training import TAGGER
from kimi_pipeline.curation.taxonomy import Tag, taxonomy
from kimi_pipeline.digests import digest
from kimi_pipeline.stages import Context, Outcome, Stage, require_outcome

RULE = "tagging@2"
PERSON, SOURCE, CLASSIFIER, RULES = "person", "source", "classifier", "rules"
ORIGINS = (PERSON, SOURCE, MODEL, CLASSIFIER, RULES)
FOREIGN_HITS = 2  # words of a domain that the classifier was never taught, for the rules to overrule it
SCHEMA = pa.schema([field for field in tables.TAGS.schema if field.name not in tables.TAGS.volatile])


@cache
def _model(folder: str) -> Classifier:
    return Classifier.load(Path(folder))


def tag_shard(rows: pa.Table, rule: str, folder: str | None) -> pa.Table:
    """Tags of rows with the columns of `labels.COLUMNS`; `folder` holds the trained model (None: the rules tag)."""
    found = source_tags(rows)
    origins = [SOURCE if tag else RULES for tag in found]
    confidences = np.ones(len(found))
    open_rows = [place for place, tag in enumerate(found) if tag is None]
    if open_rows:
        prompts = pc.take(rows.column("prompt"), pa.array(open_rows))
        prompts = prompts.combine_chunks() if isinstance(prompts, pa.ChunkedArray) else prompts
        for place, (tag, confidence, origin) in zip(open_rows, _tags(prompts, folder), strict=True):
            found[place], confidences[place], origins[place] = tag, confidence, origin
    known = [tag for tag in found if tag is not None]
    return pa.table(
        [
            rows.column("problem_id"),
            pa.array([tag.domain for tag in known], pa.string()),
            pa.array([tag.discipline for tag in known], pa.string()),
            pa.array(grades(rows), pa.string()),
            language(rows.column("prompt"), rows.column("language")),
            pa.array(confidences),
            pa.array(origins, pa.string()),
            pa.repeat(rule, rows.num_rows),
        ],
        schema=SCHEMA,
    )


def _tags(prompts: pa.Array, folder: str | None) -> list[tuple[Tag, float, str]]:
    """By the classifier where there is one; the rules overrule it for domains that it was never taught."""
    if folder is None:
        tags, shares, _ = tag_by_words(prompts)
        return [(tag, share, RULES) for tag, share in zip(tags, shares.tolist(), strict=True)]
    model = _model(folder)
    classes = [Tag(*name.split("/")) for name in model.classes]
    probabilities = model.probabilities(prompts.to_pylist())
    best = probabilities.argmax(axis=1).tolist()
    sure = probabilities.max(axis=1).tolist()
    foreign, shares, hits = tag_by_words(prompts, set(taxonomy().disciplines) - {tag.domain for tag in classes})
    return [
        (other, share, RULES) if count >= FOREIGN_HITS else (classes[number], confidence, CLASSIFIER)
        for number, confidence, other, share, count in zip(
            best, sure, foreign, shares.tolist(), hits.tolist(), strict=True
        )
    ]


def tag_problems(context: Context) -> Outcome:
    """Tag the problems of the run that have no tag under this rule and model yet, then apply what persons decided."""
    started = time.monotonic()
    trained = require_outcome(TAGGER, context)
    asked = model_settings(context)
    known = [trained.data_version, taxonomy().digest, rules_digest(), *([asked] if asked else [])]
    rule = f"{RULE}+{digest(known)[:12]}"
    new = context.shards.map(
        partial(tag_shard, rule=rule, folder=trained.outputs["folder"]),
        problem_shards(
            context,
            COLUMNS,
            f"anti join (select problem_id from tags where rule_version = '{rule}') using (problem_id)",
        ),
        lambda rows: context.lake.upsert(tables.TAGS, rows, run_id=context.run_id, reason=f"tags under {rule}"),
    )
    if asked:
        tag_by_model(context)
    _apply_decisions(context)
    waiting = ask_about_doubts(context)
    seconds = time.monotonic() - started
    scope = f"tags t semi join (select problem_id from ({UNIQUE})) using (problem_id)"
    columns = "problem_id, domain, discipline, grade, language, confidence, origin"
    counts = context.lake.rows(
        f"select origin, language, count(*) n, count(*) filter (confidence < $least) low from {scope} group by all",
        in_scope(context) | {"least": context.profile.curation.tag_min_confidence},
    )
    by_origin = {o: sum(r["n"] for r in counts if r["origin"] == o) for o in ORIGINS}
    return Outcome(
        data_version=context.lake.query_digest(f"select {columns} from {scope}", in_scope(context)),
        figures={
            "problems": sum(by_origin.values()),
            "low_confidence": sum(row["low"] for row in counts),
            "waiting_for_a_person": waiting,
            **{f"by_{origin}": count for origin, count in by_origin.items()},
            "chinese": sum(row["n"] for row in counts if row["language"] == "zh"),
            "tagged_now": new,
            "seconds": round(seconds, 2),
        },
        preview=context.lake.rows(
            f"select domain, discipline, count(*) problems, avg(confidence) confidence from {scope} "
            "group by all order by 3 desc limit 12",
            in_scope(context),
        ),
    )


def _apply_decisions(context: Context) -> None:
    decided = {one.problem_id: taxonomy().parse(one.decision) for one in settled(context.lake, TAG).values()}
    stored = context.lake.rows(
        f"select {', '.join(SCHEMA.names)} from tags where problem_id in (select unnest($ids))", {"ids": list(decided)}
    )
    rows = [
        row | {"domain": tag.domain, "discipline": tag.discipline, "confidence": 1.0, "origin": PERSON}
        for row in stored
        if (tag := decided[row["problem_id"]])  # None: the taxonomy has changed and does not have it any more
    ]
    context.lake.upsert(tables.TAGS, rows, run_id=context.run_id, reason="tags that persons decided")


TAGS = Stage(
    name="problem_tags",
    description="Tag every problem with its domain, discipline, language and grade",
    group="curation",
    compute=tag_problems,
    upstream=("corpus", "duplicates", "people_decisions", "tagger"),
    settings=lambda context: {
        "decisions": settled_digest(context.lake, TAG),
        "min_confidence": context.profile.curation.tag_min_confidence,
        "questions": context.profile.curation.review_questions,
        "words": rules_digest(),
        "taxonomy": taxonomy().digest,
        "model": model_settings(context),
    },
    code=(
        __name__,
        "kimi_pipeline.curation.model_labels",
        "kimi_pipeline.curation.tagging.by_model",
        "kimi_pipeline.curation.tagging.classifier",
        "kimi_pipeline.curation.tagging.doubts",
        "kimi_pipeline.curation.tagging.features",
        "kimi_pipeline.curation.tagging.keywords",
        "kimi_pipeline.curation.tagging.labels",
        "kimi_pipeline.curation.taxonomy",
    ),
    tables=(tables.TAGS,),
    kinds=("scikitlearn", "deltalake"),
    asks_model=lambda profile: profile.curation.model_tags != "off",
    by_profile=False,
)
