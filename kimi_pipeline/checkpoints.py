"""Checkpoints: folders of weights with a manifest; a checkpoint's name is the digest of its files.

Belongs here: writing a folder atomically, reading a manifest, finding one by digest, taking a foreign folder as given.
Does not belong here: weights in memory (`training/`), registration in MLflow (`training/tracking.py`).
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kimi_pipeline.digests import folder_digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.files import write_whole
from kimi_pipeline.folders import scratch_folder

MANIFEST = "kimi_manifest.json"
STAGES = ("base", "sft", "long_cot", "rl", "merge", "shortest", "dpo", "long2short_rl", "classic_rm", "cot_rm")
JUDGES = ("classic_rm", "cot_rm")  # of them, those that judge answers and give none
REGISTERED_AT = "registered_at"  # in a manifest, beside what the checkpoint is
WEIGHTS = (".safetensors", ".json", ".txt", ".model", ".jinja")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint: `digest` over weights, config and tokenizer; the manifest says where it came from.

    `recipe` holds the settings in force, `data_versions` what it was trained on (table or set, version, digest), `note`
    what must stand beside every figure of it.
    """

    stage: str
    digest: str
    folder: Path
    parent: str | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    data_versions: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    note: str = ""

    def manifest(self) -> dict[str, Any]:
        return asdict(self) | {"folder": str(self.folder)}


def check_model_folder(folder: Path) -> None:
    """Raises UserError unless `folder` holds a Hugging Face model with its tokenizer."""
    if not folder.is_dir():
        raise UserError(f"model folder {folder} does not exist: give the path of a Hugging Face model folder")
    if not (folder / "config.json").is_file():
        raise UserError(f"model folder {folder} has no config.json: give a folder in Hugging Face format")
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise UserError(f"model folder {folder} has no tokenizer (tokenizer.json): save the tokenizer beside the model")
    if not any(folder.glob("*.safetensors")):
        raise UserError(f"model folder {folder} has no *.safetensors weights: save the model with safetensors")


def count_parameters(folder: Path) -> int:
    """How many numbers the weights of a model folder hold, by their files' headers."""
    from safetensors import safe_open

    found = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="numpy") as weights:
            found += sum(math.prod(one.get_shape()) for one in map(weights.get_slice, weights.keys()))
    return found


def save_checkpoint(root: Path, stage: str, write: Callable[[Path], object], **manifest: Any) -> Checkpoint:
    """Let `write` fill a temporary folder, digest it, add the manifest and rename it into place: all or nothing.

    Where the same weights are there already they stay, for whoever reads them meanwhile: only the manifest is new.
    """
    with scratch_folder(root) as scratch:
        write(scratch)
        name = folder_digest(scratch, WEIGHTS)
        checkpoint = Checkpoint(stage=stage, digest=name, folder=root / f"{stage}-{name[:12]}", **manifest)
        if checkpoint.folder.exists() and _sizes(checkpoint.folder) == _sizes(scratch):
            _write_manifest(checkpoint.folder, checkpoint)
            return checkpoint
        _write_manifest(scratch, checkpoint)
        if checkpoint.folder.exists():  # a manifest of a folder that lies elsewhere, or weights that lost a file
            shutil.rmtree(checkpoint.folder)
        os.replace(scratch, checkpoint.folder)
    return checkpoint


def register_folder(root: Path, stage: str, folder: Path, **manifest: Any) -> Checkpoint:
    """Take a model folder as it is: only a manifest is written, under `root`; the weights stay where they are."""
    check_model_folder(folder)
    name = folder_digest(folder, WEIGHTS)
    entry = root / f"{stage}-{name[:12]}"
    entry.mkdir(parents=True, exist_ok=True)
    checkpoint = Checkpoint(stage=stage, digest=name, folder=folder.resolve(), **manifest)
    _write_manifest(entry, checkpoint)
    return checkpoint


def read_checkpoint(entry: Path) -> Checkpoint:
    """The checkpoint whose manifest lies in `entry`."""
    try:
        values = json.loads((entry / MANIFEST).read_text())
    except FileNotFoundError:
        raise UserError(f"no checkpoint at {entry}: materialise its asset first") from None
    values["folder"] = Path(values["folder"])
    values.pop(REGISTERED_AT, None)
    return Checkpoint(**values)


def find_checkpoint(root: Path, digest: str) -> Checkpoint:
    """The checkpoint of that digest. Raises UserError where it is not there (or its weights are gone)."""
    for manifest in root.glob(f"*-{digest[:12]}/{MANIFEST}"):
        checkpoint = read_checkpoint(manifest.parent)
        if checkpoint.digest == digest and (checkpoint.folder / "config.json").is_file():
            return checkpoint
    raise UserError(f"checkpoint {digest} is not under {root}: materialise its asset again")


def all_checkpoints(root: Path) -> list[Checkpoint]:
    """All checkpoints under `root`; one that is still being written, or was when its process was killed, is none."""
    found = [path for path in root.glob(f"*/{MANIFEST}") if not path.parent.name.startswith(".")]
    return sorted((read_checkpoint(path.parent) for path in found), key=lambda c: (c.stage, c.digest))


def made_at(root: Path, checkpoint: Checkpoint) -> float:
    """When a checkpoint was registered under `root`, in seconds since the epoch: as its manifest says, which a copied folder
    keeps; the file's own time where an older release wrote it."""
    manifest = root / f"{checkpoint.stage}-{checkpoint.digest[:12]}" / MANIFEST
    return float(json.loads(manifest.read_text()).get(REGISTERED_AT) or manifest.stat().st_mtime)


def _sizes(folder: Path) -> dict[Path, int]:
    """The bytes of each file that a checkpoint's name stands for."""
    files = (path for path in folder.rglob("*") if path.suffix in WEIGHTS and path.name != MANIFEST)
    return {path.relative_to(folder): path.stat().st_size for path in files if path.is_file()}


def _write_manifest(entry: Path, checkpoint: Checkpoint) -> None:
    values = checkpoint.manifest() | {REGISTERED_AT: time.time()}
    write_whole(entry / MANIFEST, json.dumps(values, indent=2, sort_keys=True, default=str))
