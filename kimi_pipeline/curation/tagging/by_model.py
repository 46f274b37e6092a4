"""Tags by a language model, where the profile says so: `curation.model_tags` is off, unsure or all.

Belongs here: which problems the model is asked about, and its tags. Does not belong here: asking (`model_labels.py`), the
order of precedence (`stage.py`).
"""

from __future__ import annotations

from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.curation.model_labels import ask_model, model_settings, tag_form, vote
from kimi_pipeline.curation.scope import UNIQUE, in_scope
from kimi_pipeline.curation.taxonomy import taxonomy
from kimi_pipeline.stages import Context

MODEL = "model"
OPEN = f"""
    select t.problem_id, p.prompt from tags t join ({UNIQUE}) p using (problem_id)
    where t.origin in ('classifier', 'rules') and t.confidence < $least order by 1
"""


def settings(context: Context) -> dict[str, Any] | None:
    """What the model's tags depend on; None where no model is asked."""
    curation = context.profile.curation
    if curation.model_tags == "off":
        return None
    asked = {"who": curation.model_tags, "least": curation.tag_min_confidence}
    return model_settings(context, tag_form()) | asked


def tag_by_model(context: Context) -> int:
    """Ask the model about problems that neither a person nor their source has tagged (`unsure`: and whose tag is below
    `curation.tag_min_confidence`), and take its tags, each with the share of its answers that agree. Returns how many.

    A problem on which no answer was in form keeps the tag that it has.
    """
    curation = context.profile.curation
    least = curation.tag_min_confidence if curation.model_tags == "unsure" else float("inf")
    problems = context.lake.sql(OPEN, in_scope(context) | {"least": least})
    if not problems.num_rows:
        return 0
    votes = curation.label_votes
    answers = ask_model(context, tag_form(), problems)
    voted = {problem_id: found for problem_id, given in answers.items() if (found := vote(given, votes))}
    names = [name for name in tables.TAGS.schema.names if name not in tables.TAGS.volatile]
    rows = []
    for row in context.lake.rows(
        f"select {', '.join(names)} from tags where problem_id in (select unnest($ids))", {"ids": sorted(voted)}
    ):
        named, share = voted[row["problem_id"]]
        tag = taxonomy().parse(str(named))
        assert tag is not None, "the form allows tags of the taxonomy alone"
        rows.append(row | {"domain": tag.domain, "discipline": tag.discipline, "confidence": share, "origin": MODEL})
    context.lake.upsert(tables.TAGS, rows, run_id=context.run_id, reason=f"tags by a model ({len(rows)})")
    return len(rows)
