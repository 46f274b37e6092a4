"""A whole curation run on a scripted model: real stages, real store and verifier; only the weights are replaced by a
script that answers by a problem's label, so that what must come out is known."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline.digests import digest
from kimi_pipeline.inference import sampling_job
from kimi_pipeline.inference.request import Completion, SampleRequest
from kimi_pipeline.jobs import Report
from kimi_pipeline.lineage import STAGES
from kimi_pipeline.stages import Context, Outcome, Stage, run_stage
from kimi_pipeline.training import stages as training_stages

AHEAD = 256
Script = Callable[[dict[str, Any], str, random.Random], str]


class ScriptedCarrier:
    """Answers by `plays.script(problem row, purpose, rng)`; counts what it was asked. Like an engine it takes requests ahead
    of its answers."""

    name = "scripted"

    def __init__(self, rows: dict[str, dict[str, Any]], plays: Any) -> None:
        self.rows, self.plays, self.asked = rows, plays, 0

    def generate(self, requests: Iterable[SampleRequest]) -> Iterator[Completion]:
        waiting = iter(requests)
        while ahead := list(islice(waiting, AHEAD)):
            for request in ahead:
                self.asked += 1
                text = self.plays.script(self.rows[request.problem_id], request.purpose, random.Random(request.seed))
                yield Completion(request, text, "stop", prompt_tokens=10, completion_tokens=max(1, len(text) // 4))

    def close(self) -> None: ...


class Curation:
    """Runs the stages up to the ledger, the model ones on a script, which may be another one from some time on."""

    def __init__(
        self,
        context: Context,
        script: Script,
        monkeypatch: pytest.MonkeyPatch,
        checkpoint: str = "scripted",
        finished: Callable[[str], Path] | None = None,
    ) -> None:
        self.context, self.script, self.finished = context, script, finished
        self.key = digest([context.profile.settings(), script.__qualname__, checkpoint])[:16]
        self.carrier: ScriptedCarrier | None = None
        test = self

        class Scripted:
            seconds = 0.0

            def __init__(self, profile: Any) -> None: ...

            def serving(self, folder: Any) -> ScriptedCarrier:
                rows: dict[str, dict[str, Any]] = {}
                for row in test.context.lake.read(_problems()).to_pylist():
                    kind = row["planted"]  # of an exact duplicate, the original's label counts
                    if row["problem_id"] not in rows or kind in ("guessable", "not_guessable"):
                        rows[row["problem_id"]] = row
                test.carrier = test.carrier or ScriptedCarrier(rows, test)
                return test.carrier

            def close(self) -> None: ...

        monkeypatch.setattr(sampling_job, "Carriers", Scripted)
        fixed = Outcome(checkpoint, outputs={"digest": checkpoint, "folder": None, "note": ""})
        stage = training_stages.SFT_CHECKPOINT
        self.stages: dict[str, Stage] = STAGES | {
            stage.name: Stage(
                stage.name,
                stage.description,
                stage.group,
                lambda context: fixed,
                settings=lambda context: {"checkpoint": checkpoint},
            )
        }
        for name, own in STAGES.items():  # a branch with tests of its own
            if own.group == "testcases":
                self.stages[name] = Stage(name, own.description, own.group, lambda context: Outcome("left out"))

    def run(self, upto: str = "decision_ledger") -> dict[str, Outcome]:
        outcomes = {}
        for name, stage in self.stages.items():
            if name in ("base_checkpoint", "sft_corpus"):
                continue
            outcomes[name] = run_stage(stage, self.context, self.stages)
            if name == upto:
                break
        return outcomes

    def ready(self) -> dict[str, Outcome]:
        """`run` on an empty home, taken over from the first test of the session that ran the same: what a test of later
        steps starts from. Nothing was asked of its script then."""
        home = self.context.home.root
        assert self.finished is not None and not list(self.context.home.lake.iterdir()), "only on an empty home"
        kept = self.finished(self.key)
        if kept.is_dir():
            shutil.copytree(kept, home, dirs_exist_ok=True, copy_function=_linked)
            return self.run()
        outcomes = self.run()
        shutil.copytree(home, kept, copy_function=_linked)
        return outcomes

    @property
    def asked(self) -> int:
        return self.carrier.asked if self.carrier else 0


def _linked(source: str, target: str) -> str:
    """A data file is never changed in its place, so both homes may hold the same one."""
    return str(os.link(source, target) or target) if source.endswith(".parquet") else shutil.copy2(source, target)


def _problems() -> Any:
    from kimi_pipeline.tables import PROBLEMS

    return PROBLEMS


class InProcess:
    """A launcher that runs the sampling job in this process: the scripted carrier lives here."""

    def run(self, module: str, spec: dict[str, Any], *, ranks: int = 1) -> dict[str, Any]:
        assert module == "kimi_pipeline.inference.sampling_job"
        return sampling_job.run(spec, Report("sampling"))


def able(row: dict[str, Any], purpose: str, rng: random.Random) -> str:
    """A model as the planted labels describe it: guesses the guessable ones and mostly knows them,
    reasons its way through half of the rest."""
    if row["planted"] == "wrong_reference":  # a model that is able knows better
        return f"\\boxed{{{1 - int(row['answer'])}}}" if rng.random() < 0.9 else "\\boxed{?}"
    guessable = row["planted"] == "guessable"
    rate = (0.85 if guessable else 0.5) if purpose == "difficulty" else (0.7 if guessable else 0.0)
    right = rng.random() < rate
    return f"\\boxed{{{row['answer']}}}" if right else "\\boxed{wrong}"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Where a finished run is kept for later tests, by its key."""
    folder = tmp_path_factory.getbasetemp() / "finished"
    folder.mkdir(exist_ok=True)
    return lambda key: folder / key


@pytest.fixture
def curation(
    make_context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch, finished: Callable[[str], Path]
) -> Callable[..., Curation]:
    def make(script: Script = able, checkpoint: str = "scripted", **settings: Any) -> Curation:
        settings = {"corpora__problems_per_family": 40, "corpora__evaluation_problems": 60} | settings
        return Curation(make_context(launcher=InProcess(), **settings), script, monkeypatch, checkpoint, finished)

    return make


__all__ = ["Curation", "able", "curation", "finished"]
