"""Review by spreadsheet: questions out to a CSV file, decisions back in.

Belongs here: the file's columns, and checking every row before the first is stored. Does not belong here: what a
decision means (`review.py`).
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kimi_pipeline.curation.people import record_people
from kimi_pipeline.curation.review import QUESTIONS, Decided, decide, listed, waiting
from kimi_pipeline.errors import UserError
from kimi_pipeline.files import write_whole
from kimi_pipeline.lake import Lake

ASKED = ("problem_id", "question", "stage", "reason_code", "proposed", "evidence", "prompt", "answer", "response")
ANSWERED = ("decision", "decided_by", "reason", "until")
NEEDED = ("problem_id", "question", "decision", "decided_by")
LARGEST_CELL = 2**27
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export(lake: Lake, path: Path, question: str | None = None, *, everything: bool = False) -> int:
    """Write what waits (with `everything` what was decided or withdrawn as well) to a CSV file; returns how many rows.

    Cells that a spreadsheet would run as a formula get an apostrophe in front; `read` takes it off again.
    """
    check_question(question)
    rows = listed(lake, question) if everything else waiting(lake, question)
    text = io.StringIO()
    writer = csv.DictWriter(text, [*ASKED, *ANSWERED], extrasaction="ignore")
    writer.writeheader()
    writer.writerows({name: _shielded(row[name]) for name in [*ASKED, *ANSWERED]} for row in rows)
    try:
        write_whole(path, text.getvalue(), encoding="utf-8-sig")  # its mark tells Excel that it is UTF-8
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}): give a file in a writable folder") from error
    return len(rows)


def load(lake: Lake, path: Path, *, run_id: str) -> dict[str, int]:
    """Store a file's decisions: all of them in one commit, or none.

    Returns how many rows were decided, changed something, and are still without a decision. Raises UserError with a line
    for each bad row.
    """
    found, left = read(path)
    _check_problems(lake, found, path)
    decided = [one for _, one in found]
    changed = decide(lake, decided, run_id=run_id)
    record_people(lake, run_id=run_id)
    return {"decided": len(decided), "changed": changed, "still_waiting": left}


def read(path: Path) -> tuple[list[tuple[int, Decided]], int]:
    """The decisions of a file, each with its line, and how many rows have none. Raises UserError as `load` does."""
    csv.field_size_limit(LARGEST_CELL)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}): save it as CSV UTF-8") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    if missing := [name for name in NEEDED if name not in (reader.fieldnames or [])]:
        raise UserError(f"{path}: no column {missing[0]!r}: export it again, and keep the first line")
    found: list[tuple[int, Decided]] = []
    wrong: list[str] = []
    seen: dict[tuple[str, str], tuple[int, str]] = {}
    left = 0
    try:
        for row in reader:
            cells = {name: _bare(row.get(name)) for name in [*NEEDED, "reason", "until"]}
            if not cells["decision"]:
                left += 1
                continue
            key = (cells["problem_id"], cells["question"])
            if problem := _problem(cells, seen.get(key)):
                wrong.append(f"{path}:{reader.line_num}: {problem}")
            elif key not in seen:
                seen[key] = (reader.line_num, cells["decision"])
                until = last_day(cells["until"]) if cells["until"] else None
                one = Decided(*key, cells["decision"], cells["decided_by"], cells["reason"], until=until)
                found.append((reader.line_num, one))
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: {error}: save it as CSV again") from None
    _refuse(wrong)
    return found, left


def check_question(question: str | None) -> None:
    if question is not None and question not in QUESTIONS:
        raise UserError(f"unknown question {question!r}: one of {', '.join(QUESTIONS)}")


def _problem(cells: dict[str, str], seen: tuple[int, str] | None) -> str | None:
    """What is wrong with a row that has a decision; None for nothing."""
    if cells["question"] not in QUESTIONS:
        return f"unknown question {cells['question']!r}: one of {', '.join(QUESTIONS)}"
    if not cells["problem_id"]:
        return "problem_id is empty"
    if not cells["decided_by"]:
        return "decided_by is empty: write who decided"
    if wrong := QUESTIONS[cells["question"]](cells["decision"]):
        return f"decision {cells['decision'][:80]!r} {wrong}"
    if cells["until"] and last_day(cells["until"]) is None:
        return f"until {cells['until'][:40]!r}: write the last day on which it holds, as in 2027-01-31"
    if seen and seen[1] != cells["decision"]:
        return f"line {seen[0]} decides {cells['problem_id']} differently: keep one of them"
    return None


def _check_problems(lake: Lake, found: list[tuple[int, Decided]], path: Path) -> None:
    """A decision may come unasked, but not on a problem that nobody knows."""
    known = {
        row["problem_id"] for row in lake.rows("select problem_id from problems union select problem_id from review")
    }
    _refuse(
        f"{path}:{line}: no problem {one.problem_id!r} in this lake: copy the id from the export"
        for line, one in found
        if one.problem_id not in known
    )


def last_day(text: str) -> datetime | None:
    """The end (UTC) of a day written 2027-01-31, or of one that a table shows with its time; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is not None:  # exported: the end itself
        return moment
    return moment.replace(tzinfo=UTC) + timedelta(days=1)


def _refuse(lines: object) -> None:
    wrong = list(lines)  # type: ignore[call-overload]
    if wrong:
        raise UserError("\n".join([*wrong, f"nothing was imported: mend {len(wrong)} rows"]))


def _shielded(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _bare(value: str | None) -> str:
    text = (value or "").strip()
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text
