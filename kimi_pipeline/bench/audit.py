"""Speed of auditing: explain, diff, funnel, cost and rebuild as whole processes over generated lakes.

Belongs here: the lakes (kept under `$KIMI_HOME/bench/audit`, so that they are made once), running the commands, the figures.
Does not belong here: the rows (`generated.py`), the stages that fill a lake (`curation_job.py`).

A lake holds a corpus that went through every stage that needs no model, and for each problem that models are asked ten
answers, eight guesses and eight rollouts (about twenty samples a source row), all drawn by a hash; two versions of a set
with different sizes. Pass rates and guesses follow from the samples, so that a rebuild has everything to recompute.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.bench import generated
from kimi_pipeline.bench.curation_job import (
    CHECKPOINT,
    LAST,
    SET,
    TEMPLATE,
    alone,
    context_on,
    drawn_lineage,
    stages_in_order,
)
from kimi_pipeline.curation.scope import FIT, in_scope
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.stages import Context, run_stage

NAME = "audit"
SIZES = (10_000, 100_000, 1_000_000)
RUNS = 5
RECIPES = (
    'max_size = {size}\nweights = "by_failure"\n',
    'max_size = {size}\nweights = "by_failure"\nmax_pass_rate = 0.85\n',
)
"""Of the first and the second version: another threshold moves some out, and others take their places."""
TOKENS = 64
SAMPLES = f"""
    select md5(purpose || ':' || i || problem_id) as sample_id, problem_id, purpose, '{CHECKPOINT}' as checkpoint,
           '{TEMPLATE}' as template, $temperature as temperature, $max_tokens as max_tokens, i as sample_index,
           0 as segment_index, if(purpose = 'rollout', 1, null) as iteration, 0 as seed, 40 as prompt_tokens,
           {TOKENS} as completion_tokens, md5(problem_id) || md5(i || problem_id) as text, 'stop' as finish_reason,
           'drawn' as extracted_answer, if(right_one, 'correct', 'wrong') as status, null as status_reason,
           right_one::double as reward, 'drawn' as rule_version, 'drawn' as carrier, 0.0 as cost
    from (select problem_id, $purpose as purpose, i, {{right}} as right_one
          from (select problem_id from {FIT}) f left join (select problem_id, correct from difficulty) d using (problem_id)
          cross join range($count) r(i))
    order by problem_id, sample_index
"""
"""In the order in which the sampling job asks: problem after problem."""
RIGHT = {
    "difficulty": "i < coalesce(correct, 0)",
    "guess": "i = 2 and hash('guess' || problem_id) % 20 = 0",
    "rollout": "i % 2 = 0",
}
GUESSED = """
    select * replace (if(hit_at is null, null, md5('guess:' || (hit_at - 1) || problem_id)) as hit_sample_id)
    from guessability
"""


def measure(home: Home, sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """Median seconds of each command at each size, warm file cache (`cpu_seconds`: of all its threads, which tell more on a
    machine that others use as well), the growth from the smallest to the largest, and whether the rebuild was equal.

    Raises UserError where a command fails.
    """
    own = Home(home.root / "bench" / NAME).prepare()
    seconds: dict[str, dict[str, float]] = {}
    cpu: dict[str, dict[str, float]] = {}
    rebuilds: dict[str, Any] = {}
    counts: dict[str, Any] = {}
    for size in sorted(sizes):
        _say(f"{size:,} problems")
        place = lake_of(own, size)
        lake = context_of(own, size).lake
        (count,) = lake.rows(
            "select (select count(*) from problems) as problems, (select count(*) from samples) as samples, "
            "(select count(*) from ledger) as decisions"
        )
        member = lake.rows("select problem_id from prompt_set where version = 2 order by 1 limit 1")[0]["problem_id"]
        counts[str(size)] = count
        commands = {
            "explain": ["explain", member],
            "diff": ["diff", f"{SET}@1", f"{SET}@2"],
            "funnel": ["funnel", f"{SET}@2"],
            "cost": ["cost", f"{SET}@2"],
        }
        medians = {name: _medians(place, command) for name, command in commands.items()}
        seconds[str(size)] = {name: wall for name, (wall, _) in medians.items()}
        cpu[str(size)] = {name: spent for name, (_, spent) in medians.items()}
        _say(f"{size:,} problems: {seconds[str(size)]}; rebuilding")
        started = time.monotonic()
        told = json.loads(_run(place, ["rebuild", f"{SET}@1"]))
        rebuilds[str(size)] = {"seconds": round(time.monotonic() - started, 1), "equal": told["equal"]}
    small, large = (seconds[str(size)] for size in (min(sizes), max(sizes)))
    return {
        "name": NAME,
        "figures": {
            "seconds": seconds,
            "cpu_seconds": cpu,
            "slowest_by_problems": {size: max(found.values()) for size, found in seconds.items()},
            "growth": {name: round(large[name] / small[name], 2) for name in small},
            "rebuild": rebuilds,
            "rows": counts,
        },
        "peer": None,
        "ratio": None,
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench {NAME} --problems {','.join(map(str, sorted(sizes)))}",
    }


def context_of(own: Home, problems: int) -> Context:
    corpus = generated.write(own.root / "corpora" / f"{problems}.jsonl", problems)
    context = context_on(Home(own.root / f"problems-{problems}").prepare(), corpus, problems)
    return replace(context, say=_say)


def lake_of(own: Home, problems: int) -> Home:
    """The home with the generated lake; what is finished of it is not made again."""
    context = context_of(own, problems)
    recipe = context.home.recipes / f"{SET}.toml"
    made = len(context.lake.rows("select version from prompt_set_versions"))
    if not made:
        recipe.write_text(RECIPES[0].format(size=problems // 2))
        for name in stages_in_order(context):
            if name == "guessability":
                draw_samples(context)
    if made < 2:
        recipe.write_text(RECIPES[1].format(size=problems // 2))
        stages = drawn_lineage()
        run_stage(alone(stages[LAST]), context, stages)
    return context.home


def draw_samples(context: Context) -> None:
    """Write the samples behind the drawn pass rates and guesses, each purpose in one commit, once."""
    curation = context.profile.curation
    asked = {
        "difficulty": (curation.temperature, curation.max_tokens, curation.samples),
        "guess": (curation.guess_temperature, curation.guess_max_tokens, curation.guesses),
        "rollout": (1.0, curation.max_tokens, 8),
    }
    for purpose, (temperature, max_tokens, count) in asked.items():
        if not context.lake.rows("select 1 from samples where purpose = ? limit 1", [purpose]):
            values = {"purpose": purpose, "temperature": temperature, "max_tokens": max_tokens, "count": count}
            query = SAMPLES.format(right=RIGHT[purpose])
            context.lake.append_query(
                tables.SAMPLES, query, in_scope(context) | values, run_id=context.run_id, reason="drawn"
            )
    context.lake.replace(
        tables.GUESSABILITY, context.lake.sql(GUESSED), where=None, run_id=context.run_id, reason="drawn samples"
    )


def _medians(place: Home, command: Sequence[str]) -> tuple[float, float]:
    """Median seconds and CPU seconds of a whole process."""
    _run(place, command)  # the file cache is warm from here on
    times, spent = [], []
    for _ in range(RUNS):
        started, before = time.monotonic(), _children()
        _run(place, command)
        times.append(time.monotonic() - started)
        spent.append(_children() - before)
    return round(statistics.median(times), 3), round(statistics.median(spent), 3)


def _children() -> float:
    """CPU seconds of all child processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def _run(place: Home, command: Sequence[str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "kimi_pipeline.cli", *command, "--json"],
        # Empty: the first run keeps its compiled modules, as on a machine that commands are used on.
        env=os.environ | {"KIMI_HOME": str(place.root), "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise UserError(f"bench {NAME}: kimi-pipeline {' '.join(command)} failed: {done.stderr.strip()[-300:]}")
    return done.stdout


def _say(text: str) -> None:
    print(f"bench {NAME}: {text}", file=sys.stderr, flush=True)
