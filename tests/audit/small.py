"""A small lineage for the tests of auditing: two files of a few dozen problems, so that a whole run takes a second or two."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.curation.conftest import Curation, able

Row = dict[str, Any]


def rows(name: str, count: int, planted: str | None = None) -> list[dict[str, Any]]:
    """Problems that share no wording with those of another name."""
    texts = {
        "boxes": "A shelf holds {a} boxes of {b} pencils each and {c} loose ones. How many pencils are there?",
        "trains": "One train leaves {a} minutes after noon and another {b} later; both need {c}. When is the last there?",
        "farm": "Of {a} hens {b} are sold and every other one lays {c} eggs a week. How many eggs are laid weekly?",
    }
    values = {
        "boxes": lambda a, b, c: a * b + c,
        "trains": lambda a, b, c: a + b + c,
        "farm": lambda a, b, c: (a - b) * c,
    }
    found = []
    for k in range(count):
        a, b, c = 53 + 7 * k, 11 + 3 * k, 5 + k
        prompt = texts[name].format(a=a, b=b, c=c)
        found.append({"prompt": prompt, "answer": str(values[name](a, b, c)), "planted": planted})
    return found


def special() -> list[dict[str, Any]]:
    """A proof, and two that are guessed."""
    guessed = [row | {"planted": "guessable"} for row in rows("trains", 3)]
    return [{"prompt": "Prove that the sum of two even numbers is even.", "answer": "proof", "planted": None}, *guessed]


def write(folder: Path, **sources: Iterable[dict[str, Any]]) -> list[str]:
    """Each source as a file; the source file that names them, as `corpora.sources`."""
    entries = []
    for name, content in sources.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
        entries.append(
            f'[[source]]\nname = "{name}"\nkind = "jsonl"\npath = "{folder / name}.jsonl"\nlicence = "MIT"\n'
            '[source.fields]\nprompt = "prompt"\nanswer = "answer"\nplanted = "planted"\n'
        )
    (folder / "sources.toml").write_text("\n".join(entries))
    return [str(folder / "sources.toml")]


def small(curation: Callable[..., Curation], sources: list[str], *script: Any, **settings: Any) -> Curation:
    """A run over them. `script` and a checkpoint's name replace the scripted model."""
    settings = {"corpora__evaluation_problems": 20, "curation__samples": 4, "curation__guesses": 2} | settings
    return curation(*(script or (able,)), corpora__sources=sources, **settings)


def steady(row: dict[str, Any], purpose: str, rng: random.Random) -> str:
    """Half of the answers right; guesses right where the row says so."""
    right = row["planted"] == "guessable" if purpose == "guess" else rng.random() < 0.5
    return f"\\boxed{{{row['answer']}}}" if right else "\\boxed{wrong}"
