"""Re-estimation of difficulty: ask the stale prompts again, the most decision-changing first, within bounds.

Belongs here: drawing for them, counting, putting finished estimates in force. Does not belong here: which ones are stale
(`staleness.py`), guesses (`guesses.py`), cutting versions (`shift.py`).

A prompt whose answers the bounds cut short keeps the estimate that it had, and its new answers are there for the next time:
after any cut the estimates in force are whole ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from kimi_pipeline import tables
from kimi_pipeline.curation.asking import grouped
from kimi_pipeline.curation.corrections import with_corrections
from kimi_pipeline.curation.difficulty import DIFFICULTY, pass_rates
from kimi_pipeline.curation.estimates import RATED, Base
from kimi_pipeline.curation.scope import fit_problems
from kimi_pipeline.curation.stopping import recipes_in_force, rule_of
from kimi_pipeline.inference.adaptive import State
from kimi_pipeline.inference.budget import Bounds
from kimi_pipeline.inference.drawing import Counts, SamplingPass, draw
from kimi_pipeline.lake import Lake
from kimi_pipeline.nights.drift import Move, summary
from kimi_pipeline.nights.staleness import CAUSES, Stale, stale_prompts
from kimi_pipeline.nights.target import Target
from kimi_pipeline.stages import Context, require_outcome
from kimi_pipeline.tables.declare import as_json

WAVE = 256  # prompts that go through the rounds of adaptive sampling together: what an engine decodes at once


@dataclass(frozen=True)
class Staleness:
    """What is stale, in order, and what asking needs to know."""

    target: Target
    base: Base
    problems: pa.Table
    prompts: list[Stale]
    fresh: int
    tokens_each: float

    def counts(self) -> dict[str, Any]:
        """`{"checkpoint", "template", "prompts", "fresh", "stale": {cause: n}}`."""
        causes = Counter(str(one.cause) for one in self.prompts)
        return {
            "checkpoint": self.target.checkpoint,
            "stage": self.target.stage,
            "template": self.target.template_id,
            "prompts": self.problems.num_rows,
            "fresh": self.fresh,
            "stale": {str(cause): causes[cause] for cause in CAUSES},
        }


def look(context: Context, target: Target, now: datetime) -> Staleness:
    """Where every fit prompt's estimate stands. Raises UserError where difficulty was never estimated."""
    base = Base.of(RATED, require_outcome(DIFFICULTY, context).outputs, context.profile)
    problems = grouped(with_corrections(context.lake, fit_problems(context)))
    found = stale_prompts(context, target, base, problems, recipes_in_force(context), now)
    return Staleness(target, base, problems, found, problems.num_rows - len(found), _tokens_each(context, target))


def plan(context: Context, stale: Staleness, bounds: Bounds) -> dict[str, Any]:
    """What a re-estimation would do: the counts of `Staleness` and an expectation, nothing done.

    `{"...", "expected": {"samples", "tokens", "within_budget": prompts}, "first": the ten that come first}`. Tokens are
    those of an answer so far (without any: the longest), samples at most.
    """
    drawn = _drawn(context, stale)
    missing = [max(0, one.wanted - one.first - drawn.get(one.problem_id, (0, 0, 0))[0]) for one in stale.prompts]
    limit, tokens, within = bounds.tokens.limit, 0.0, 0
    for count in missing:
        tokens += count * stale.tokens_each
        within += limit is None or tokens <= limit
    first = [asdict(one) | {"cause": str(one.cause), "score": round(one.score, 4)} for one in stale.prompts[:10]]
    expected = {"samples": sum(missing), "tokens": round(tokens), "within_budget": within}
    return stale.counts() | {"budget": limit, "expected": expected, "first": first}


def reestimate(context: Context, stale: Staleness, bounds: Bounds) -> dict[str, Any]:
    """Ask until the bounds end it or nothing is stale, and put what is finished in force.

    Returns the counts of `Staleness` with `{"sampled", "left", "samples", "tokens", "seconds", "stopped_by", "drift"
    (before and after, over the prompts sampled anew), "moves": [...]}`. `left` prompts keep the estimate they had.
    """
    if not stale.prompts:
        return stale.counts() | _told(Counts(), [], 0, [])
    drawn = draw(context, [_pass(context, stale)], bounds)
    done = _finished(context, stale)
    rows = _count(context, stale, done)
    context.lake.upsert(
        tables.DIFFICULTY, rows, run_id=context.run_id, reason=f"pass rates of {stale.target.checkpoint} made again"
    )
    put_in_force(context, stale.base, stale.target, done)
    before = {one.problem_id: one for one in done}
    moves = [
        Move(row["problem_id"], one.right / one.n, row["pass_rate"], row["n"], row["correct"])
        for row in rows
        if (one := before[row["problem_id"]]).n and row["n"]
    ]
    return stale.counts() | _told(drawn, done, len(stale.prompts) - len(done), moves)


def _told(drawn: Counts, done: Sequence[Stale], left: int, moves: Sequence[Move]) -> dict[str, Any]:
    return {
        "sampled": len(done),
        "sampled_by_cause": dict(Counter(str(one.cause) for one in done)),
        "left": left,
        "samples": drawn.drawn,
        "tokens": drawn.committed_tokens,
        "cost": drawn.cost,
        "seconds": round(drawn.seconds, 1),
        "stopped_by": drawn.stopped_by,
        "drift": summary(moves),
        "moves": [asdict(one) | dict(zip(("from", "to"), one.buckets, strict=True)) for one in moves],
    }


def _pass(context: Context, stale: Staleness) -> SamplingPass:
    curation = context.profile.curation
    return SamplingPass(
        purpose="difficulty",
        checkpoint=stale.target.checkpoint,
        folder=stale.target.folder,
        problems=_in_order(stale, curation.samples),
        template=stale.target.template,
        format="reasoning",
        temperature=curation.temperature,
        max_tokens=curation.max_tokens,
        samples=curation.samples,
        stopping=rule_of(recipes_in_force(context), curation) if curation.adaptive else None,
        wave=WAVE if curation.adaptive else None,
    )


def _in_order(stale: Staleness, samples: int) -> pa.Table:
    """The problems of the stale prompts in their order. One that goes beyond its first `samples` answers says how far."""
    place = {problem_id: at for at, problem_id in enumerate(stale.problems.column("problem_id").to_pylist())}
    chosen = stale.problems.take(pa.array([place[one.problem_id] for one in stale.prompts], pa.int64()))
    wanted = [None if (one.first, one.wanted) == (0, samples) else one.wanted for one in stale.prompts]
    return chosen.append_column("samples", pa.array(wanted, pa.int64()))


def _drawn(context: Context, stale: Staleness) -> dict[str, tuple[int, int, int]]:
    """Of each stale prompt, what is there of the answers that it wants: all, those with a verdict, right ones."""
    asked = pa.table(
        {
            "problem_id": [one.problem_id for one in stale.prompts],
            "first_sample": [one.first for one in stale.prompts],
            "past_sample": [one.wanted for one in stale.prompts],
        },
        schema=pa.schema([("problem_id", pa.string()), ("first_sample", pa.int64()), ("past_sample", pa.int64())]),
    )
    rows = pass_rates(context.lake, asked, _key(context, stale.target))
    return {row["problem_id"]: (row["n"] + row["excluded"], row["n"], row["correct"]) for row in rows}


def _finished(context: Context, stale: Staleness) -> list[Stale]:
    """The prompts that have all the answers that they want, or as many as the stopping rule asks for."""
    drawn, curation = _drawn(context, stale), context.profile.curation
    groups = dict(zip(*(stale.problems.column(name).to_pylist() for name in ("problem_id", "group")), strict=True))
    stops: set[tuple[str, State]] = set()
    if curation.adaptive:
        tallies: dict[str, Counter[State]] = {}
        for problem_id, (_, n, right) in drawn.items():
            if n <= curation.samples:
                tallies.setdefault(groups[problem_id], Counter())[n, right] += 1
        stops = rule_of(recipes_in_force(context), curation).stops(tallies)
    done = []
    for one in stale.prompts:
        samples, n, right = drawn.get(one.problem_id, (0, 0, 0))
        usual = (one.first, one.wanted) == (0, curation.samples)
        if samples >= one.wanted - one.first or (usual and (groups[one.problem_id], (n, right)) in stops):
            done.append(one)
    return done


def _count(context: Context, stale: Staleness, done: Sequence[Stale]) -> list[dict[str, Any]]:
    asked = pa.table(
        {
            "problem_id": pa.array([one.problem_id for one in done], pa.string()),
            "first_sample": pa.array([one.first for one in done], pa.int64()),
            "past_sample": pa.array([one.wanted for one in done], pa.int64()),
        }
    )
    return pass_rates(context.lake, asked, _key(context, stale.target)) if done else []


def _key(context: Context, target: Target) -> dict[str, Any]:
    curation = context.profile.curation
    return {
        "checkpoint": target.checkpoint,
        "template": target.template_id,
        "temperature": curation.temperature,
        "max_tokens": curation.max_tokens,
        "samples": curation.samples,
    }


def put_in_force(context: Context, base: Base, target: Target, done: Sequence[Stale], template: str = "") -> None:
    """Let the target's estimates of these prompts stand in for the stage's."""
    context.lake.upsert(
        tables.ESTIMATES,
        [
            {
                "profile": context.profile.name,
                "kind": base.kind,
                "problem_id": one.problem_id,
                "base": base.name,
                "checkpoint": target.checkpoint,
                "template": template or target.template_id,
                "first_sample": one.first,
                "cause": str(one.cause),
            }
            for one in done
        ],
        run_id=context.run_id,
        reason=f"{base.kind} of {target.checkpoint} in force",
    )


def _tokens_each(context: Context, target: Target) -> float:
    """The mean length of an answer so far, of the target where it has some."""
    rows = context.lake.rows(
        "select checkpoint = ? as own, avg(completion_tokens) tokens from samples where purpose = 'difficulty' "
        "group by 1 order by 1 desc limit 1",
        [target.checkpoint],
    )
    return float(rows[0]["tokens"]) if rows else float(context.profile.curation.max_tokens)


def keep(
    lake: Lake, profile: str, found: dict[str, Any], *, started: datetime, until: datetime | None, run_id: str
) -> None:
    """Write a re-estimation or a night down: one row of the `nights` table."""
    row = {
        "profile": profile,
        "checkpoint": found["checkpoint"],
        "template": found["template"],
        "started_at": started.isoformat(timespec="seconds"),
        "until": until.isoformat(timespec="minutes") if until else "",
        "stopped_by": found["stopped_by"],
        "stale": sum(found["stale"].values()),
        "sampled": found["sampled"],
        "left": found["left"],
        "tokens": found["tokens"],
        "seconds": found["seconds"],
        "report": as_json({name: value for name, value in found.items() if name != "moves"}),
    }
    lake.append(tables.NIGHTS, [row], run_id=run_id, reason="a night")
