"""When a problem has been answered often enough: the stopping rule that the sets' thresholds make.

Belongs here: which thresholds count, and the tables of names that the rule compares. Does not belong here: the rule
itself (`inference/adaptive.py`), thresholds as such (`decide.py`).

Samples are shared by all sets, thresholds are not. In force are those of the run's set, and of every set that was cut
before or that the user wrote a recipe for: a set that is cut later with other thresholds changes the difficulty stage's
settings, which then draws what those leave open.
"""

from __future__ import annotations

from kimi_pipeline.curation.decide import KEPT, Figures, bucket, decide_difficulty
from kimi_pipeline.curation.recipe import Recipe, load_recipe, recipe_names
from kimi_pipeline.inference.adaptive import StoppingRule
from kimi_pipeline.profiles.sections import Curation
from kimi_pipeline.stages import Context


def recipes_in_force(context: Context) -> list[Recipe]:
    """The recipes whose thresholds decide on the run's samples, by name."""
    cut = {row["prompt_set"] for row in context.lake.rows("select distinct prompt_set from prompt_set_versions")}
    own = {path.stem for path in context.home.recipes.glob("*.toml")}
    names = {context.prompt_set, context.profile.curation.prompt_set} | ((cut | own) & set(recipe_names(context.home)))
    return [load_recipe(context.home, name).in_force(context.profile) for name in sorted(names)]


def names_of(recipes: list[Recipe], n: int, correct: int) -> tuple[str, str]:
    """What `correct` of `n` samples lead to: whether each set keeps the problem, and the bucket."""
    figures = Figures("", "", n, correct, None)
    kept = [decide_difficulty(figures, recipe) in KEPT for recipe in recipes if "difficulty" in recipe.filters]
    return "".join("+" if keeps else "-" for keeps in kept), bucket(correct / n) if n else ""


def stopping_rule(context: Context) -> StoppingRule | None:
    """The rule of the profile, or None where every problem gets all samples."""
    curation = context.profile.curation
    if not curation.adaptive:
        return None
    return rule_of(recipes_in_force(context), curation)


def rule_of(recipes: list[Recipe], curation: Curation) -> StoppingRule:
    """The rule for given thresholds."""
    named = [[names_of(recipes, n, right) for right in range(n + 1)] for n in range(curation.samples + 1)]
    return StoppingRule(
        total=curation.samples,
        first=curation.adaptive_first,
        decision_risk=curation.decision_risk,
        bucket_risk=curation.bucket_risk,
        decisions=tuple(tuple(decision for decision, _ in row) for row in named),
        buckets=tuple(tuple(found for _, found in row) for row in named),
    )
