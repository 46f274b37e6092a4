"""Commands for what waits for a person: review list, export, import.

Belongs here: arguments and tables. Does not belong here: files and checks (`curation/review_csv.py`).
"""

from __future__ import annotations

from pathlib import Path

import click

from kimi_pipeline.cli.door import as_json, emit, main, open_lake, show

QUESTION = click.option("--question", help="One kind of question alone: tag, membership, suspect_reference, judgement")


@main.group()
def review() -> None:
    """What waits for a person, and what persons decided; their decisions outrank rules."""


@review.command(name="list")
@QUESTION
@click.option("--all", "everything", is_flag=True, help="What was decided or withdrawn as well")
@as_json
def list_(question: str | None, everything: bool, as_json: bool) -> None:
    """Questions that wait for a person."""
    from kimi_pipeline.curation.review import WAITING, listed
    from kimi_pipeline.curation.review_csv import check_question

    check_question(question)
    rows = listed(open_lake(), question, None if everything else WAITING)
    shown = [
        {
            "problem": row["problem_id"][:12],
            "question": row["question"],
            "reason": row["reason_code"],
            "proposed": row["proposed"],
            "state": row["state"],
            "decision": row["decision"],
            "prompt": " ".join((row["prompt"] or "").split())[:60],
        }
        for row in rows
    ]
    emit(rows, as_json, lambda: show(shown, "Review") if rows else click.echo("nothing waits for a person"))


@review.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@QUESTION
@click.option("--all", "everything", is_flag=True, help="What was decided or withdrawn as well")
@as_json
def export(file: Path, question: str | None, everything: bool, as_json: bool) -> None:
    """Write what waits to a CSV file: fill in decision and decided_by, then import it."""
    from kimi_pipeline.curation.review_csv import export as write

    rows = write(open_lake(), file, question, everything=everything)
    emit({"file": str(file), "rows": rows}, as_json, lambda: click.echo(f"{rows} questions in {file}"))


@review.command(name="import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@as_json
def import_(file: Path, as_json: bool) -> None:
    """Take the decisions of a CSV file: all rows, or none where one is bad. They are in force at the next run."""
    from kimi_pipeline.curation.review_csv import load
    from kimi_pipeline.stages import new_run_id

    counts = load(open_lake(), file, run_id=new_run_id())
    line = (
        f"{counts['decided']} decisions ({counts['changed']} new or changed), {counts['still_waiting']} still waiting"
    )
    emit(counts, as_json, lambda: click.echo(line))
