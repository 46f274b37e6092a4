"""The SFT corpus: files that are whole or not there, and that no other run's settings replace."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from kimi_pipeline.stages import Context, Outcome, run_stage
from kimi_pipeline.training import stages

SMALL = {"sft__clean_examples": 6, "corpora__problems_per_family": 4}


def made(context: Context) -> Outcome:
    return run_stage(stages.SFT_CORPUS, context, {})


def test_a_run_under_other_settings_leaves_a_corpus_as_it_is(make_context: Callable[..., Context]) -> None:
    one = made(make_context(**SMALL, sft__noisy_examples=3))
    files = {name: Path(one.outputs[name]) for name in ("examples", "held_out")}
    before = {name: path.read_bytes() for name, path in files.items()}
    other = stages.write_sft_corpus(make_context(**SMALL, sft__noisy_examples=0))  # killed before the stage's row
    assert other.outputs["folder"] != one.outputs["folder"]
    assert {name: path.read_bytes() for name, path in files.items()} == before
    again = made(make_context(**SMALL, sft__noisy_examples=3))
    assert again.cached and pq.read_table(again.outputs["examples"]).num_rows == 9


def test_a_corpus_that_is_gone_is_written_again(make_context: Callable[..., Context]) -> None:
    one = made(make_context(**SMALL, sft__noisy_examples=3))
    shutil.rmtree(one.outputs["folder"])
    again = made(make_context(**SMALL, sft__noisy_examples=3))
    assert not again.cached and again.data_version == one.data_version and Path(again.outputs["examples"]).is_file()


def test_a_kill_inside_a_write_leaves_no_half_file(
    make_context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(table: Any, where: Path) -> None:
        Path(where).write_bytes(b"PAR1 and no more")
        raise KeyboardInterrupt

    context = make_context(**SMALL, sft__noisy_examples=3)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(stages.pq, "write_table", killed)
        made(context)
    assert not list((context.home.root / "sft_corpus").rglob("*.parquet"))
    assert not made(context).cached
