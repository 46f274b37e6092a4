"""Folders that appear whole: nothing half-filled stays, whoever dies, and nobody's work in progress is taken away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kimi_pipeline.checkpoints import all_checkpoints, count_parameters, save_checkpoint
from kimi_pipeline.folders import LOCK, scratch_folder
from kimi_pipeline.home import CHECKOUT

HOLDS = """
import sys, time
from pathlib import Path
from kimi_pipeline.checkpoints import save_checkpoint
def write(folder):
    (folder / "config.json").write_text("half")
    (folder / "kimi_manifest.json").write_text('{"stage": "sft", "digest": "0", "folder": "x"}')
    print("here", flush=True)
    time.sleep(600)
save_checkpoint(Path(sys.argv[1]), "sft", write)
"""


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.name != LOCK)


def write(folder: Path) -> None:
    (folder / "config.json").write_text("whole")


def test_what_a_killed_process_left_is_no_checkpoint_and_goes_with_the_next_one(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", HOLDS, tmp_path], cwd=CHECKOUT, stdout=subprocess.PIPE)
    assert writer.stdout is not None and writer.stdout.readline() == b"here\n"
    (half,) = names(tmp_path)
    made = save_checkpoint(tmp_path, "sft", write)
    assert names(tmp_path) == [half, made.folder.name]  # its process lives
    assert [one.digest for one in all_checkpoints(tmp_path)] == [made.digest]
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    save_checkpoint(tmp_path, "sft", write)
    assert names(tmp_path) == [made.folder.name]


def test_weights_that_are_there_stay_while_they_are_saved_again(tmp_path: Path) -> None:
    made = save_checkpoint(tmp_path, "sft", write)
    there = (made.folder / "config.json").stat().st_ino
    assert save_checkpoint(tmp_path, "sft", write, note="again").digest == made.digest
    assert (made.folder / "config.json").stat().st_ino == there
    assert [one.note for one in all_checkpoints(tmp_path)] == ["again"]
    (made.folder / "config.json").unlink()
    save_checkpoint(tmp_path, "sft", write)
    assert (made.folder / "config.json").read_text() == "whole"
    assert names(tmp_path) == [made.folder.name]


def test_a_folder_that_was_not_renamed_is_gone(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no room"), scratch_folder(tmp_path) as scratch:
        (scratch / "a").write_text("half")
        raise OSError("no room")
    with scratch_folder(tmp_path) as scratch:
        (scratch / "a").write_text("whole")
        os.replace(scratch, tmp_path / "named")
    assert names(tmp_path) == ["named"]


def test_weights_are_counted_by_their_files(tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    save_file({"a": np.zeros((2, 3)), "b": np.zeros(5)}, tmp_path / "model-1.safetensors")
    save_file({"c": np.zeros(7)}, tmp_path / "model-2.safetensors")
    assert count_parameters(tmp_path) == 18
