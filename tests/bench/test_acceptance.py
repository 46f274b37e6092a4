"""Acceptance: figures against bounds, what is kept and what is run again, and a table whose commands exist."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from kimi_pipeline.bench.acceptance import Acceptance, Check, Judged, chosen, promises, take
from kimi_pipeline.bench.acceptance_page import as_rows, page, write
from kimi_pipeline.cli import main
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import CHECKOUT, Home

TABLE = '''
[[command]]
name = "speed"
section = "Made up"
run = ["python", "-c", """
import json, pathlib
path = pathlib.Path("{counter}")
path.write_text(path.read_text() + "x")
print(json.dumps({{"ratio": 7.5, "seeds": [3, 4]}}))
"""]
[[command.check]]
name = "fast"
promise = "is fast"
figure = "said.ratio"
at_least = 7
[[command.check]]
name = "faster"
promise = "each seed is faster"
figure = "said.seeds"
at_least = 3.5
shortfall = "three ways were tried"
[[command.check]]
name = "absent"
promise = "says something"
figure = "said.nothing"
at_most = 1

[[command]]
name = "broken"
section = "Made up"
run = ["python", "-c", "import sys; sys.exit('the disk is full')"]
tier = "full"
[[command.check]]
name = "works"
promise = "works"
figure = "said.ratio"
at_least = 1

[[command]]
name = "chatty"
section = "Made up"
run = ["python", "-c", "print('corpus: reading'); print(1)"]
tier = "full"
[[command.check]]
name = "says-json"
promise = "says JSON alone"
figure = "said"
equals = 1

[[command]]
name = "real"
section = "Real data"
run = ["python", "{{data}}/x.py"]
[[command.check]]
name = "on-data"
promise = "works on data"
figure = "exit_code"
equals = 0
'''


@pytest.fixture
def table(tmp_path: Path) -> Path:
    counter = tmp_path / "counter"
    counter.write_text("")
    path = tmp_path / "promises.toml"
    path.write_text(TABLE.format(counter=counter))
    return path


def test_figures_are_held_against_their_bounds_and_measured_once(table: Path, home: Home, tmp_path: Path) -> None:
    commands = promises(table)
    told: list[str] = []
    whole = Acceptance(home, say=told.append)
    assert {each.verdict for each in whole.judge(commands)} == {"not run"}
    whole.run(commands)
    assert told[0].endswith("is not run: needs --data FOLDER")  # before anything is measured
    (kept,) = [text for text in told if text.startswith("all that broken said is in ")]
    assert "the disk is full" in Path(kept.split(" is in ")[1]).read_text()
    found = {each.check.name: each for each in whole.judge(commands)}
    assert {name: each.verdict for name, each in found.items()} == {
        "fast": "holds",
        "faster": "falls short",
        "absent": "falls short",
        "works": "failed",
        "says-json": "failed",
        "on-data": "not run",
    }
    assert found["faster"].why == "three ways were tried"
    assert found["absent"].why == "no figure at said.nothing"
    assert "the disk is full" in found["works"].why
    assert found["says-json"].why == "exit code 0, no JSON: standard output begins with 'corpus: reading'"
    assert found["on-data"].why == "needs --data FOLDER"
    Acceptance(home, say=lambda text: None).run(commands)
    assert (tmp_path / "counter").read_text() == "x"
    Acceptance(home, say=lambda text: None).run(chosen(commands, "standard", ["fast"]), again=True)
    assert (tmp_path / "counter").read_text() == "xx"
    _the_page_tells_shortfalls_first(list(found.values()), tmp_path)


def _the_page_tells_shortfalls_first(found: list[Judged], folder: Path) -> None:
    text = page(found, "2026-01-01")
    faster = next(each for each in found if each.check.name == "faster")
    assert faster.pace is not None and faster.pace > 0
    told = f"**faster** (3, 4; at least 3.5; at {faster.pace} ns a step): three ways were tried"
    assert text.index(told) < text.index("## Made up")
    assert "1 holds, 2 falls short, 2 failed, 1 not run" in text
    assert "A step of a plain Python loop took" in text
    write(found, folder)
    assert json.loads((folder / "acceptance.json").read_text())["checks"] == as_rows(found)


def test_a_changed_test_makes_only_figures_of_tests_stale(
    table: Path, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "tests").mkdir(parents=True)
    monkeypatch.setattr("kimi_pipeline.bench.acceptance.CHECKOUT", checkout)
    speed = promises(table)[0]
    commands = [speed, speed.model_copy(update={"name": "speed-of-tests", "tests": True})]
    whole = Acceptance(home, say=lambda text: None)

    def measured() -> set[str]:
        return {each.command.name for each in whole.judge(commands) if each.verdict != "not run"}

    whole.run(commands)
    assert measured() == {"speed", "speed-of-tests"}
    (checkout / "tests" / "test_new.py").write_text("")
    assert measured() == {"speed"}
    (checkout / "kimi_pipeline").mkdir()
    (checkout / "kimi_pipeline" / "new.py").write_text("")
    assert measured() == set()


@pytest.mark.parametrize(
    ("path", "figure"),
    [
        ("a.b", 1),
        ("a.c", None),
        ("rows.*.x", [1, 2]),
        ("rows.length", 3),
        ("rows.-1.y", 5),
        ("rows.9.y", None),
        ("a.*", [1]),
    ],
)
def test_a_figure_is_found_by_its_path(path: str, figure: Any) -> None:
    assert take({"a": {"b": 1}, "rows": [{"x": 1}, {"x": 2}, {"y": 5}]}, path) == figure


@pytest.mark.parametrize("value", [None, [], "7", True, float("nan"), [7, None]])
def test_what_is_no_number_keeps_no_bound(value: Any) -> None:
    check = Check(name="n", promise="p", figure="f", at_least=1, at_most=9)
    assert check.holds(7)
    assert not check.holds(value)


def test_the_tiers_and_names_choose(table: Path) -> None:
    commands = promises(table)
    assert [each.name for each in chosen(commands, "standard", [])] == ["speed", "real"]
    assert [each.name for each in chosen(commands, "full", [])] == ["speed", "broken", "chatty", "real"]
    assert [each.name for each in chosen(commands, "standard", ["works"])] == ["broken"]
    with pytest.raises(UserError, match="no check 'fats': one of"):
        chosen(commands, "standard", ["fats"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("at_least = 7", ""), "give at_least, at_most or equals"),
        (('name = "works"', 'name = "fast"'), "fast stands twice"),
        (('tier = "full"', "fresh = true"), "fresh needs a home"),
    ],
)
def test_a_table_that_is_not_well_formed_is_refused(table: Path, change: tuple[str, str], message: str) -> None:
    table.write_text(table.read_text().replace(*change, 1))
    with pytest.raises(UserError, match=message):
        promises(table)


def test_the_commands_of_the_table_exist() -> None:
    for command in promises():
        program, *words = command.run
        for word in words:
            if "/" in word and not word.startswith("{"):
                assert (CHECKOUT / word).exists(), word
        if program != "kimi-pipeline" or words[0] == "sandbox":
            continue
        door: click.Command = main
        while isinstance(door, click.Group):
            name = words.pop(0)
            assert name in door.commands, command.run
            door = door.commands[name]
        door.make_context(command.name, [word.replace("{data}", str(CHECKOUT)) for word in words])


@pytest.mark.parametrize(
    ("words", "written"), [(["--look"], 0), (["--only", "planted"], 0), ([], 1), (["--tier", "full"], 1)]
)
def test_only_a_whole_tier_writes_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], written: int
) -> None:
    pages: list[Any] = []
    monkeypatch.setattr("kimi_pipeline.bench.acceptance_page.write", lambda found, folder: pages.append(folder))
    monkeypatch.setattr(Acceptance, "run", lambda *_, **__: None)
    told = CliRunner().invoke(main, ["acceptance", "--json", *words], env={"KIMI_HOME": str(tmp_path)})
    assert told.exit_code == 0 and len(pages) == written


def test_adaptive_sampling_is_measured_on_what_the_laptop_recorded() -> None:
    homes = {one.name: one.home for one in promises()}
    assert homes["adaptive"] == homes["run"] == "laptop"
