"""Commands about samples: samples import.

Belongs here: arguments and tables. Does not belong here: the import (`curation/imports.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kimi_pipeline.cli.door import as_json, emit, main, open_lake, show
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home


@main.group()
def samples() -> None:
    """Answers of models, made here or elsewhere."""


@samples.command(name="import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--format", "format", type=click.Choice(["jsonl", "trl", "verl"]), default="jsonl", show_default=True)
@click.option("--checkpoint", required=True, help="Who answered: beginning of a checkpoint's digest, or a model's name")
@click.option("--profile", help="The profile whose wording and sampling settings the answers were made with")
@click.option("--temperature", type=float, help="Where a row does not say it (default: the profile's)")
@click.option("--max-tokens", type=click.IntRange(1), help="Where a row does not say it (default: the profile's)")
@as_json
def import_(
    file: Path,
    format: str,
    checkpoint: str,
    profile: str | None,
    temperature: float | None,
    max_tokens: int | None,
    as_json: bool,
) -> None:
    """Take rollouts made elsewhere: matched by problem_id or prompt, verified by our own verifier. Nights and runs then
    draw only what is still missing."""
    from kimi_pipeline.checkpoints import all_checkpoints
    from kimi_pipeline.curation.imports import Conditions, import_samples
    from kimi_pipeline.inference.drawing import model_checkpoint
    from kimi_pipeline.inference.templates import TEMPLATES
    from kimi_pipeline.profiles import load_profile
    from kimi_pipeline.stages import new_run_id

    home, curation = Home.from_env().prepare(), load_profile(profile).curation
    known = {one.digest: one.stage for one in all_checkpoints(home.checkpoints) if one.digest.startswith(checkpoint)}
    if len(known) > 1:
        listed = ", ".join(f"{stage} {digest[:12]}" for digest, stage in known.items())
        raise UserError(f"--checkpoint {checkpoint!r} is several: {listed}; write more of the digest")
    if not known:
        click.echo(f"no checkpoint begins with {checkpoint!r}: taken as a model's name", err=True)
    conditions = Conditions(
        next(iter(known), None) or model_checkpoint(checkpoint),
        TEMPLATES[curation.template].id("reasoning"),
        curation.temperature if temperature is None else temperature,
        max_tokens or curation.max_tokens,
    )
    found = import_samples(open_lake(), home.root / "staging", file, format, conditions, run_id=new_run_id()) | {
        "checkpoint": conditions.checkpoint
    }
    emit(found, as_json, lambda: _tell(found))


def _tell(found: dict[str, Any]) -> None:
    from kimi_pipeline.reasons import MEANINGS, Reason

    click.echo(
        f"{found['imported']:,} samples of {found['problems']:,} problems imported as {found['checkpoint'][:12]}, "
        f"{found['known']:,} were there, {sum(found['quarantined'].values()):,} rows in quarantine"
    )
    if found["quarantined"]:
        show([{"reason": r, "rows": n, "meaning": MEANINGS[Reason(r)]} for r, n in found["quarantined"].items()])
    if found["compared"]:
        wrong = sum(found["disagreements"].values())
        click.echo(f"of {found['compared']:,} verdicts in the file {wrong:,} disagree with ours")
        if found["examples"]:
            show(found["examples"])
