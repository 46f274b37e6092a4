"""A trial: RL with one choice of settings, and the held-out answers of what came of it.

Belongs here: what trials share (everything before RL), training and evaluating one, the digests of what it depends on.
Does not belong here: which trials there are, statistics over them (`seeds.py`).

Trials whose profiles differ in `rl` and `evaluation` alone may share a home (`shared_home`), and with it base, SFT
checkpoint, difficulty and prompt set: the lineage's own memo makes them once. So two arms of a seed differ by nothing but
what they are about.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from kimi_pipeline.checkpoints import find_checkpoint
from kimi_pipeline.corpora.builtin import EVALUATION_SET
from kimi_pipeline.curation.asking import VERDICTS
from kimi_pipeline.digests import digest
from kimi_pipeline.evaluation.stage import EVALUATION, TEMPERATURES
from kimi_pipeline.home import Home
from kimi_pipeline.inference.drawing import SamplingPass, draw
from kimi_pipeline.inference.templates import TEMPLATES
from kimi_pipeline.jobs import LocalLauncher
from kimi_pipeline.lake import Lake
from kimi_pipeline.lineage import STAGES
from kimi_pipeline.profiles import Profile
from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.rl.stage import RL_CHECKPOINT, run_job
from kimi_pipeline.stages import Context, code_version, new_run_id, require_outcome, run_stage
from kimi_pipeline.tables.declare import as_json
from kimi_pipeline.training.stages import SFT_CHECKPOINT

OWN = {"rl_checkpoint": RL_CHECKPOINT, "evaluation": EVALUATION}  # what each trial does for itself
SHARED = {name: stage for name, stage in STAGES.items() if name not in OWN}
READ = ("sft_checkpoint", "rl_prompt_set", "evaluation_problems")  # the data that a trial starts from
OF_A_TRIAL = ("rl", "evaluation")  # sections of the profile in which trials of one home may differ
CURVES = (  # of an iteration's figures, what a study looks at
    "reward", "pass_rate", "tokens_mean", "tokens", "decode_steps", "groups", "steps", "kl", "log_ratio_max", "entropy",
    "all_right", "all_wrong", "staleness", "seconds",
)  # fmt: skip
CPU = "cpu_seconds_"  # and those of each phase: what a trial costs where other work shares the machine
Answers = dict[str, list[float | None]]  # "right": share of right answers a problem, "tokens": mean tokens a problem
ANSWERS = f"""
    select problem_id, count(*) filter (status = '{Status.CORRECT}') correct, count(*) n, avg(completion_tokens) tokens
    from samples semi join asked using (problem_id)
    where purpose = 'evaluation' and checkpoint = ? and template = ? and max_tokens = ? and temperature = ?
      and sample_index < ? and status in {tuple(str(v) for v in VERDICTS)}
    group by problem_id order by problem_id
"""
NEWEST = """
    select stage, partition, data_version, inputs from stages
    qualify row_number() over (partition by stage, partition order by created_at desc) = 1
"""


def shared_home(root: Path, profile: Profile) -> Home:
    """The home under `root` of all trials that start from the same: seed, and a digest of what comes before RL."""
    settings = {name: value for name, value in profile.settings().items() if name not in OF_A_TRIAL}
    return Home(root / f"seed-{profile.seed}-{digest(settings)[:8]}")


@dataclass(frozen=True)
class Trial:
    """`profile` trained in `home`."""

    home: Home
    profile: Profile
    say: Callable[[str], None] = print

    @cached_property
    def context(self) -> Context:
        home = self.home.prepare()
        lake, launcher = Lake(home.lake), LocalLauncher(home.jobs)
        set_name = self.profile.curation.prompt_set
        return Context(home, lake, self.profile, launcher, new_run_id(), set_name, self.say)

    def prepare(self) -> None:
        """Everything before RL; what is up to date costs nothing."""
        for stage in SHARED.values():
            run_stage(stage, self.context, STAGES)

    def inputs(self) -> dict[str, str]:
        """Digests of all that the result depends on, by name; of shared stages, those whose stored outcome was made with
        other code or settings than there are now."""
        context = self.context
        parts = {f"code of {__name__.rpartition('.')[2]}": code_version((__name__,))}
        for name, stage in OWN.items():
            parts |= {
                f"code of {name}": code_version(stage.code),
                f"settings of {name}": digest(stage.settings(context)),
            }
        newest = {(row["stage"], row["partition"]): row for row in context.lake.rows(NEWEST)}
        made = {name: newest.get((name, stage.partition(context))) for name, stage in SHARED.items()}
        parts |= {f"data of {name}": row["data_version"] if (row := made[name]) else "none" for name in READ}
        for name, row in made.items():
            if row is not None:
                parts |= {f"{what} of {name}": "outdated" for what in self._outdated(name, json.loads(row["inputs"]))}
        return parts

    def _outdated(self, name: str, before: dict[str, Any]) -> list[str]:
        settings = json.loads(as_json(SHARED[name].settings(self.context)))
        now = {"code": code_version(SHARED[name].code), "settings": settings}
        return [what for what, value in now.items() if before[what] != value]

    def run(self) -> dict[str, Any]:
        """Train and evaluate: the checkpoint, its curves, and what it and the SFT checkpoint answered."""
        context = self.context
        made = run_job(context)
        trained = find_checkpoint(context.home.checkpoints, made["digest"])
        sft = require_outcome(SFT_CHECKPOINT, context).outputs
        answers = held_out(
            context, {"sft": (sft["digest"], Path(sft["folder"])), "rl": (trained.digest, trained.folder)}
        )
        return {
            "checkpoint": trained.digest,
            "policy": made["policy"],
            "note": trained.note,
            "curves": [
                {name: value for name, value in point.items() if name in CURVES or name.startswith(CPU)}
                for point in made["curves"]
            ],
            "answers": answers,
        }


def held_out(context: Context, checkpoints: Mapping[str, tuple[str, Path]]) -> dict[str, dict[str, Answers]]:
    """What checkpoints (digest, folder) answer to the held-out problems: by checkpoint and temperature ("1.0", "0.0"), the
    share of right answers and the mean tokens of each problem, in one order for all; a problem without any verdict has None."""
    profile, template = context.profile, context.profile.curation.template
    problems = context.lake.sql(
        "select problem_id, prompt, answer, answer_kind from evaluation_problems where evaluation_set = ? order by problem_id",
        [EVALUATION_SET],
    )
    samples = {temperature: profile.evaluation.samples if temperature else 1 for temperature in TEMPERATURES}
    draw(
        context,
        [
            SamplingPass(
                purpose="evaluation",
                checkpoint=name,
                folder=folder,
                problems=problems,
                template=template,
                format="reasoning",
                temperature=temperature,
                max_tokens=profile.evaluation.max_tokens,
                samples=count,
            )
            for name, folder in dict(checkpoints.values()).items()
            for temperature, count in samples.items()
        ],
    )
    found: dict[str, dict[str, Answers]] = {}
    for who, (name, _) in checkpoints.items():
        for temperature, count in samples.items():
            key = [name, TEMPLATES[template].id("reasoning"), profile.evaluation.max_tokens, temperature, count]
            rows = context.lake.rows(ANSWERS, key, asked=problems.select(["problem_id"]))
            found.setdefault(who, {})[str(temperature)] = _by_problem(problems, rows)
    return found


def _by_problem(problems: pa.Table, rows: list[dict[str, Any]]) -> Answers:
    answered = {row["problem_id"]: row for row in rows}
    order = [answered.get(name) for name in problems["problem_id"].to_pylist()]
    return {
        "right": [row["correct"] / row["n"] if row else None for row in order],
        "tokens": [row["tokens"] if row else None for row in order],
    }
