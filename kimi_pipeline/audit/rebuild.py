"""Rebuild: recompute a version of a set from its manifest, in a scratch place, and compare.

Belongs here: the tables that are recomputed, in order, and the comparison. Does not belong here: how any of them is
computed (its stage).

What persons and models put in is input and is read as it stood at the cut: problems, evaluation sets, samples, tags,
people's decisions. All else follows from it: duplicates, evaluability, contamination, pass rates, reference checks,
guesses, the set's own rows. A stage whose code is not the one that made the version can't be recomputed: its table is
taken as it was stored, and named. Nothing is written to the lake.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from kimi_pipeline import database, tables
from kimi_pipeline.audit.scratch import ScratchLake
from kimi_pipeline.audit.sets import named_version
from kimi_pipeline.curation.asking import grouped
from kimi_pipeline.curation.contamination import COLUMNS as CONTAMINATION_COLUMNS
from kimi_pipeline.curation.contamination import held_against
from kimi_pipeline.curation.corrections import with_corrections
from kimi_pipeline.curation.difficulty import pass_rates
from kimi_pipeline.curation.duplicates import RULE as DUPLICATES_RULE
from kimi_pipeline.curation.duplicates import write_duplicates
from kimi_pipeline.curation.estimates import GUESSED, RATED, in_force_by_name
from kimi_pipeline.curation.evaluability import COLUMNS as EVALUABILITY_COLUMNS
from kimi_pipeline.curation.evaluability import RULE as EVALUABILITY_RULE
from kimi_pipeline.curation.evaluability import evaluate_shard
from kimi_pipeline.curation.guessability import guess_rows
from kimi_pipeline.curation.recipe import Recipe
from kimi_pipeline.curation.reference_checks import RULE as REFERENCE_RULE
from kimi_pipeline.curation.reference_checks import checked
from kimi_pipeline.curation.scope import FIT, UNIQUE, fit_problems, in_scope
from kimi_pipeline.curation.selection import MEMBERS, RECOMPUTED, RL_PROMPT_SET, RULE, select
from kimi_pipeline.curation.verdicts import judge_missing
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.jobs import LocalLauncher
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles import Profile
from kimi_pipeline.row_digests import table_digest
from kimi_pipeline.stages import Context, code_version, new_run_id
from kimi_pipeline.tables import Table

SCOPE = f"semi join (select problem_id from ({UNIQUE})) using (problem_id)"
ASKED = f"semi join (select problem_id from {FIT}) using (problem_id)"
ERASED = "anti join erased using (problem_id)"
TOUCHED = """
    with empty as (
             select source, source_row from problems where prompt is null and source in (select unnest($sources))
         ),
         rows as (select * from duplicates where source in (select unnest($sources))),
         kept as (
             select kept_source, kept_row from rows semi join empty using (source, source_row)
             union select source, source_row from empty
         )
    select * from rows where (source, source_row) in (from empty) or (kept_source, kept_row) in (from kept)
"""
"""Stored duplicates whose cluster holds a row that was erased: without its text the cluster can't be found again."""
PROMPT_SET_ROWS = (
    f"select problem_id, prompt, answer, answer_kind, domain, bucket, pass_rate, weight, reason from {{}} {ERASED}"
)


@dataclass(frozen=True)
class Work:
    """What a recomputation works with: the version's manifest, the context over the scratch lake, the problems whose text
    was erased (column problem_id)."""

    manifest: dict[str, Any]
    context: Context
    stored: ScratchLake
    erased: pa.Table

    @property
    def lake(self) -> Lake:
        return self.context.lake

    def key(self, stage: str) -> dict[str, Any]:
        """The parameters under which samples of a stage are found (`Asked.key`)."""
        names = {"difficulty": ("temperature", "max_tokens", "samples")}
        names["guessability"] = ("guess_temperature", "guess_max_tokens", "guesses")
        values = [getattr(self.context.profile.curation, name) for name in names[stage]]
        key = dict(zip(("temperature", "max_tokens", "samples"), values, strict=True))
        return key | {"checkpoint": self.manifest["checkpoint"], "template": self.manifest["template"][stage]}

    def until(self, stage: str) -> str | None:
        """The time of the newest answer that a stage counted; None where the manifest does not say: all that there were at
        the cut."""
        named: dict[str, str | None] = self.manifest.get("answers_until", {})
        return named.get(stage)

    def problems(self) -> pa.Table:
        problems = grouped(with_corrections(self.lake, fit_problems(self.context)))
        return self.lake.sql(f"select * from fit {ERASED}", fit=problems, erased=self.erased)

    def made_again(self, kind: str) -> pa.Table:
        """The estimates of a kind that nights made again; which answers each counts, no manifest says."""
        named = self.manifest["estimates"][kind]
        return in_force_by_name(self.lake, named["profile"], kind, named["base"])

    def write_counted(self, table: Table, kind: str, rows: list[dict[str, Any]]) -> None:
        """Write recounted rows, with the stored ones in the place of those that nights made again."""
        again = self.made_again(kind)
        keys = set(
            zip(*(again.column(name).to_pylist() for name in ("problem_id", "checkpoint", "template")), strict=True)
        )
        own = [row for row in rows if (row["problem_id"], row["checkpoint"], row["template"]) not in keys]
        self.lake.append(table, own, run_id=self.context.run_id, reason="recounted")
        taken = self.stored.sql(
            f"select * from {table.name} semi join again using (problem_id, checkpoint, template)", again=again
        )
        self.lake.append(table, taken, run_id=self.context.run_id, reason="made again by a night")

    def keep_stored(self, table: Table) -> None:
        """Take over the stored rows of erased problems, which have no text to recompute them from."""
        if self.erased.num_rows:
            rows = self.stored.sql(
                f"select * from {table.name} semi join erased using (problem_id)", erased=self.erased
            )
            self.lake.append(table, rows, run_id=self.context.run_id, reason="stored rows of erased problems")


@dataclass(frozen=True)
class Recomputation:
    """A table: the rows that are compared (`$sources`, and `$checkpoint` and `$template` where it has them), how it is
    made, and the rule that its stored rows must be of (None: rows name none)."""

    table: Table
    rows: str
    make: Callable[[Work], None]
    rule: Callable[[Work], str | None] = lambda work: None


def _duplicates(work: Work) -> None:
    write_duplicates(work.context)
    if work.erased.num_rows:
        touched = work.stored.sql(TOUCHED, in_scope(work.context))
        kept = work.lake.sql(
            "select * from duplicates where (source, source_row) not in (select source, source_row from touched) "
            "and (kept_source, kept_row) not in (select kept_source, kept_row from touched)",
            touched=touched,
        )
        rows = pa.concat_tables([kept, touched])
        work.lake.replace(tables.DUPLICATES, rows, where=None, run_id=work.context.run_id, reason="with stored ones")


def _evaluability(work: Work) -> None:
    work.keep_stored(tables.EVALUABILITY)
    judge_missing(
        work.context, "evaluability", tables.EVALUABILITY, EVALUABILITY_RULE, EVALUABILITY_COLUMNS, evaluate_shard
    )


def _contamination(work: Work) -> None:
    work.keep_stored(tables.CONTAMINATION)
    rule, function = held_against(work.lake, work.manifest["evaluation_sets"])
    judge_missing(work.context, "contamination", tables.CONTAMINATION, rule, CONTAMINATION_COLUMNS, function)


def _difficulty(work: Work) -> None:
    rows = pass_rates(work.lake, work.problems(), work.key("difficulty"), until=work.until("difficulty"))
    work.write_counted(tables.DIFFICULTY, RATED, rows)
    work.keep_stored(tables.DIFFICULTY)


def _reference_checks(work: Work) -> None:
    key = work.key("difficulty")
    rated = {name: key[name] for name in ("checkpoint", "template")}
    rows, *_ = checked(work.context, rated | {"until": work.until("reference_checks")})
    work.lake.append(tables.REFERENCE_CHECKS, rows, run_id=work.context.run_id, reason="checked again")


def _guessability(work: Work) -> None:
    rows, _ = guess_rows(work.lake, work.problems(), work.key("guessability"))
    work.write_counted(tables.GUESSABILITY, GUESSED, rows)
    work.keep_stored(tables.GUESSABILITY)


BY_MODEL = "where checkpoint = $checkpoint and template = $template"
RECOMPUTATIONS: dict[str, Recomputation] = {
    "duplicates": Recomputation(
        tables.DUPLICATES,
        "select source, source_row, problem_id, kind, kept_source, kept_row from duplicates "
        f"{ERASED} where source in (select unnest($sources))",
        _duplicates,
        lambda work: DUPLICATES_RULE,
    ),
    "evaluability": Recomputation(
        tables.EVALUABILITY,
        f"select problem_id, verdict, reason_code from evaluability {SCOPE} {ERASED}",
        _evaluability,
        lambda work: EVALUABILITY_RULE,
    ),
    "contamination": Recomputation(
        tables.CONTAMINATION,
        f"select problem_id, verdict, reason_code from contamination {SCOPE} {ERASED}",
        _contamination,
        lambda work: held_against(work.lake, work.manifest["evaluation_sets"])[0],
    ),
    "difficulty": Recomputation(
        tables.DIFFICULTY,
        f"select problem_id, n, correct, cut, excluded, imported from difficulty {ASKED} {ERASED} {BY_MODEL}",
        _difficulty,
    ),
    "reference_checks": Recomputation(
        tables.REFERENCE_CHECKS,
        f"select problem_id, verdict, reason_code from reference_checks {ASKED} {ERASED} {BY_MODEL}",
        _reference_checks,
        lambda work: REFERENCE_RULE,
    ),
    "guessability": Recomputation(
        tables.GUESSABILITY,
        f"select problem_id, attempts, hit_at, hit_sample_id from guessability {ASKED} {ERASED} {BY_MODEL}",
        _guessability,
    ),
}


def rebuild(lake: Lake, name: str, say: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """`{"version", "equal", "digest", "tables": [{"table", "how", "equal", "rows", "digest", "why"}], "erased": [ids]}`.

    `how` is recomputed or as stored (with why); `equal` of the whole says that every recomputed table is. Problems whose
    text was erased are left out of the comparison and named. Raises UserError for an unknown version, one whose manifest
    lacks what a rebuild needs, and one that another release's selection cut.
    """
    found = named_version(lake, name)
    version = f"{found['set']}@{found['version']}"
    _check_release(found, version)
    with tempfile.TemporaryDirectory(prefix="kimi-rebuild-") as folder:
        work = _work(lake, found, Home(Path(folder)), say)
        told = [_recompute(stage.name, work, say) for stage in RECOMPUTED]
        told.append(_members(work, version))
    return {
        "version": version,
        "equal": all(row["equal"] for row in told),
        "digest": found["digest"],
        "tables": told,
        "erased": sorted(work.erased.column("problem_id").to_pylist()),
    }


def _check_release(found: dict[str, Any], version: str) -> None:
    if "stage_code" not in found:
        raise UserError(f"{version} was cut by a release whose manifests don't hold what a rebuild needs: cut it again")
    then, now = found["stage_code"][RL_PROMPT_SET.name], code_version(RL_PROMPT_SET.code)
    if found["code"] != RULE or then != now:
        raise UserError(
            f"{version} was cut by {found['code']} (code {then[:12]}), this release has {RULE} (code {now[:12]}): "
            "rebuild it with the release that cut it"
        )


def _work(lake: Lake, found: dict[str, Any], home: Home, say: Callable[[str], None]) -> Work:
    for name, version in found["inputs"].items():
        if version is not None:
            lake.delta(tables.TABLES[name], version)  # UserError where it is gone
    pinned = dict(found["inputs"])
    stored = ScratchLake(home.root / "none", lake, pinned)
    inputs = {name: version for name, version in pinned.items() if name not in RECOMPUTATIONS}
    scratch = ScratchLake(home.prepare().lake, lake, inputs)
    context = Context(
        home,
        scratch,
        Profile.model_validate(found["profile"]),
        LocalLauncher(home.jobs),
        new_run_id(),
        found["set"],
        say,
        sources=tuple(found["corpus_sources"]),
    )
    erased = scratch.sql(
        "select problem_id from problems where source in (select unnest(?)) group by 1 having bool_and(prompt is null)",
        [found["corpus_sources"]],
    )
    return Work(found, context, stored, erased)


def _recompute(name: str, work: Work, say: Callable[[str], None]) -> dict[str, Any]:
    one = RECOMPUTATIONS[name]
    why = _why_not(name, one, work)
    key = work.key("guessability" if name == "guessability" else "difficulty")
    asked = {"sources": list(work.context.sources), **{part: key[part] for part in ("checkpoint", "template")}}
    if why:
        rows = work.stored.sql(f"select * from {one.table.name}")
        work.lake.append(one.table, rows, run_id=work.context.run_id, reason="as stored")
    else:
        say(f"recomputing {name}")
        one.make(work)
    return {"table": one.table.name, "how": "as stored" if why else "recomputed"} | _compared(one, work, asked, why)


def _why_not(name: str, one: Recomputation, work: Work) -> str:
    """Why a table is taken as stored; empty where it is recomputed."""
    stage = next(stage for stage in RECOMPUTED if stage.name == name)
    then, now = work.manifest["stage_code"][name], code_version(stage.code)
    rule = one.rule(work)
    if rule:
        scope = "where source in (select unnest($sources))" if name == "duplicates" else SCOPE
        made = work.stored.rows(
            f"select distinct rule_version from (from {one.table.name} {scope}) where rule_version <> $rule",
            {"rule": rule, "sources": list(work.context.sources)},
        )
        if made:
            others = ", ".join(sorted(row["rule_version"] for row in made))
            return f"made under {others}, this release has {rule}"
    if then != now:
        return f"its code was {then[:12]}, this release has {now[:12]}"
    if name == "reference_checks" and work.erased.num_rows:
        return "it weighs erased answers against those of their groups"
    return ""


def _compared(one: Recomputation, work: Work, asked: dict[str, Any], why: str) -> dict[str, Any]:
    used = {name: value for name, value in asked.items() if f"${name}" in one.rows}
    stored, made = (lake.sql(one.rows, used, erased=work.erased) for lake in (work.stored, work.lake))
    return _told(stored, made, why)


def _told(stored: pa.Table, made: pa.Table, why: str) -> dict[str, Any]:
    """Whether two tables hold the same rows; where not, how many are in one of them alone."""
    differ = 0
    digests = [table_digest(each) for each in (stored, made)]
    if digests[0] != digests[1]:
        with database.connection() as db:
            db.register("one", stored)
            db.register("other", made)
            for a, b in (("one", "other"), ("other", "one")):
                alone = db.sql(f"select count(*) from (select * from {a} except all select * from {b})").fetchall()
                differ += int(alone[0][0])
            why = why or f"{differ} rows differ"
    return {"equal": not differ, "rows": stored.num_rows, "digest": digests[0], "why": why}


def _members(work: Work, version: str) -> dict[str, Any]:
    """The set's rows, recomputed from the tables above, against the stored ones."""
    found = work.manifest
    recipe = Recipe.model_validate(found["recipe"])
    made_by = {"rated_by": found["checkpoint"], "guessed_by": found["checkpoint"]}
    made_by |= {"rated_in": found["template"]["difficulty"], "guessed_in": found["template"]["guessability"]}
    made_again = [work.made_again(kind) for kind in (RATED, GUESSED)]
    _, members = select(work.lake, recipe, found["sources"], made_by, made_again)
    made = work.lake.sql(PROMPT_SET_ROWS.format(f"({MEMBERS})"), members.asked, erased=work.erased, **members.tables)
    stored = work.stored.origin.sql(
        PROMPT_SET_ROWS.format("(select * from prompt_set where prompt_set = $name and version = $version)"),
        {"name": found["set"], "version": found["version"]},
        erased=work.erased,
    )
    told = _told(stored, made, "")
    if not work.erased.num_rows and told["equal"]:  # the digest of the day of the cut, over the same columns
        named = work.lake.query_digest(MEMBERS, members.asked, **members.tables)
        if named != found["digest"]:
            told |= {"equal": False, "why": f"its manifest says {found['digest'][:12]}, its rows {named[:12]}"}
    return {"table": f"prompt_set ({version})", "how": "recomputed"} | told
