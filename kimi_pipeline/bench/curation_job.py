"""The measured process of `bench curation`: the stages of curation over one corpus file, timed one by one.

Belongs here: the context, what stands in for the model's stages, seconds and memory. Does not belong here: sizes and
figures (`curation.py`).

The stages are those of the lineage, from reading the file to a version of a prompt set. What a model would have found is
drawn: pass rates and guesses by a hash of the problem, written by a query, timed as stages of their own and left out of
the sum.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.bench import generated
from kimi_pipeline.bench.planting import reworded
from kimi_pipeline.curation.scope import FIT, in_scope
from kimi_pipeline.home import Home
from kimi_pipeline.jobs import LocalLauncher, Report, job_main
from kimi_pipeline.lake import Lake
from kimi_pipeline.lineage import STAGES
from kimi_pipeline.profiles import load_profile
from kimi_pipeline.stages import Context, Outcome, Stage, new_run_id, run_stage
from kimi_pipeline.tables import Table

SET = "bench"
CHECKPOINT, TEMPLATE = "drawn", "tiny"
LAST = "rl_prompt_set"
SKIPPED = (
    *("base_checkpoint", "sft_corpus", "sft_checkpoint"),
    *(name for name, stage in STAGES.items() if stage.group == "testcases"),  # the corpus has no coding problem
)
EVALUATION_PROBLEMS, COPIES = 1000, 500
RECIPE = """
description = "What bench curation selects"
max_size = {size}
weights = "by_failure"
[difficulty_mix]
easy = 0.2
medium = 0.4
hard = 0.3
unsolved = 0.1
[mix]
mathematics = 0.8
general_reasoning = 0.2
"""
DRAWN = {
    "difficulty": (
        tables.DIFFICULTY,
        f"""
        select problem_id, '{CHECKPOINT}' as checkpoint, '{TEMPLATE}' as template, 10 as n, 0 as excluded, 0 as cut,
               0 as imported,
               (hash(problem_id) % 11)::bigint as correct, correct / 10 as pass_rate, 0.0 as low, 1.0 as high
        from {FIT}
        """,
    ),
    "reference_checks": (
        tables.REFERENCE_CHECKS,
        f"""
        select problem_id, '{CHECKPOINT}' as checkpoint, '{TEMPLATE}' as template, 'keep' as verdict,
               'undisputed' as reason_code, '{{}}' as evidence, 'drawn' as rule_version
        from {FIT}
        """,
    ),
    "guessability": (
        tables.GUESSABILITY,
        f"""
        select problem_id, '{CHECKPOINT}' as checkpoint, '{TEMPLATE}' as template, 8 as attempts, 0 as excluded,
               case when hash('guess' || problem_id) % 20 = 0 then 3 end as hit_at, '' as hit_sample_id, 0.01 as by_chance
        from {FIT}
        """,
    ),
}
PLANTED = """
    select p.planted, count(*) as rows, count(d.source_row) as refused,
           count(*) filter (p.labels['cluster'] <> k.labels['cluster']) as refused_for_another
    from problems p left join duplicates d on p.source = d.source and p.source_row = d.source_row
    left join problems k on k.source = d.kept_source and k.source_row = d.kept_row
    group by 1 order by 1
"""
CLUSTERS = "select count(*) - count(distinct labels['cluster']) as repeats from problems"


class Memory(threading.Thread):
    """The peak of what this process and its children hold, MB of PSS."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mb = 0.0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.2):
            self.peak_mb = max(self.peak_mb, sum(map(_held, _family(os.getpid()))))

    def stop(self) -> float:
        self._over.set()
        self.join()
        return self.peak_mb


def _family(pid: int) -> Iterator[int]:
    """A process and all that descend from it."""
    yield pid
    with contextlib.suppress(OSError):  # it has ended
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in path.read_text().split():
                yield from _family(int(child))


def _held(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    home = Home(Path(spec["home"])).prepare()
    # standard output is the bench's own, which says JSON there
    context = replace(context_on(home, Path(spec["corpus"]), spec["rows"]), say=report.info)
    memory = Memory()
    memory.start()
    timed: dict[str, Any] = {}
    spent, started = _cpu(), time.monotonic()
    for name in stages_in_order(context):
        timed[name] = {"seconds": round(time.monotonic() - started, 2), "cpu_seconds": round(_cpu() - spent, 2)}
        report.info(f"{name}: {timed[name]['seconds']:.1f} s")
        spent, started = _cpu(), time.monotonic()
    measured = {name: times for name, times in timed.items() if name not in DRAWN}
    seconds = sum(times["seconds"] for times in measured.values())
    (repeats,) = context.lake.rows(CLUSTERS)
    return {
        "seconds": seconds,
        "cpu_seconds": sum(times["cpu_seconds"] for times in measured.values()),
        "problems_per_second": spec["rows"] / seconds,
        "peak_memory_mb": round(memory.stop()),
        "stages": timed,
        "planted": {row.pop("planted"): row for row in context.lake.rows(PLANTED)} | repeats,
    }


def stages_in_order(context: Context) -> Iterator[str]:
    """Run the stages one by one; gives the name of each that is done."""
    stages = drawn_lineage()
    for name in names_in_order(stages):
        run_alone(stages, name, context)
        yield name


def names_in_order(stages: Mapping[str, Stage]) -> list[str]:
    """The stages of curation, up to the cut of a set."""
    names = list(stages)
    return [name for name in names[: names.index(LAST) + 1] if name not in SKIPPED]


def run_alone(stages: dict[str, Stage], name: str, context: Context) -> Outcome:
    """Run a stage without the upstream ones that this process skips."""
    return run_stage(alone(stages[name]), context, stages)


def drawn_lineage() -> dict[str, Stage]:
    """The lineage with what models would have found drawn."""
    return STAGES | {name: _drawn(STAGES[name], *DRAWN[name]) for name in DRAWN}


def _cpu() -> float:
    """CPU seconds of this process and its children that have ended."""
    return sum(os.times()[:4])


def alone(stage: Stage) -> Stage:
    """The stage without the upstream ones that this process skips."""
    return replace(stage, upstream=tuple(name for name in stage.upstream if name not in SKIPPED))


def _drawn(stage: Stage, table: Table, query: str) -> Stage:
    def compute(context: Context) -> Outcome:
        context.lake.replace_query(table, query, in_scope(context), where=None, run_id=context.run_id, reason="drawn")
        return Outcome(CHECKPOINT, outputs={"checkpoint": CHECKPOINT, "template": TEMPLATE})

    return replace(stage, compute=compute, upstream=("contamination", "evaluability"))


def context_on(home: Home, corpus: Path, rows: int, changes: Mapping[str, Any] | None = None) -> Context:
    """The context of a run on a corpus of `generated.rows`, with an evaluation set that holds some of its problems."""
    source = home.root / "sources.toml"
    source.write_text(
        f'[[source]]\nname = "generated"\nkind = "jsonl"\npath = "{corpus}"\nlicence = "MIT"\n[source.fields]\n'
        'prompt = "prompt"\nanswer = "answer"\nplanted = "planted"\nlabels = ["cluster"]\n'
    )
    known = home.root / "held_out.jsonl"
    rng = random.Random(1)
    texts = [generated.problem(rng) for _ in range(EVALUATION_PROBLEMS)]
    with corpus.open() as lines:
        copied = [json.loads(line)["prompt"] for line, _ in zip(lines, range(min(COPIES, rows // 200)), strict=False)]
    texts += [reworded(text, rng.choice(generated.KINDS), rng) for text in copied]
    known.write_text("".join(json.dumps({"prompt": text, "answer": "none"}) + "\n" for text in texts))
    home.recipes.mkdir(parents=True, exist_ok=True)
    recipe = home.recipes / f"{SET}.toml"
    if not recipe.is_file():  # a bench that goes on keeps its own
        recipe.write_text(RECIPE.format(size=rows // 4))
    settings = {"corpora.sources": [str(source)], "corpora.evaluation_sets": [str(known)]}
    profile = load_profile("laptop", settings | dict(changes or {}))
    return Context(home, Lake(home.lake), profile, LocalLauncher(home.jobs), new_run_id(), SET)


if __name__ == "__main__":
    job_main(run)
