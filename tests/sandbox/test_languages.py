"""The table of languages and the limits: what is data is checked where it is read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sandbox import image, languages
from sandbox.errors import SandboxInputError
from sandbox.verdicts import Limits, WorkerSize


def test_the_built_in_table() -> None:
    table = languages.built_in()
    assert set(table) >= {"python", "cpp", "javascript", "bash"}
    assert table["python"].zygote and table["cpp"].compile and "{output}" in table["cpp"].run


def test_an_unknown_language_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SandboxInputError, match=r"language 'cobol' is unknown: one of bash, cpp, javascript, python"):
        languages.find("cobol")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[lua]\nrun = ['lua']", "file is missing"),
        ("[lua]\nfile = 'a.lua'", "run is missing"),
        ("[lua]\nfile = '../a'\nrun = ['lua']", "file is '../a'"),
        ("[lua]\nfile = 'a.lua'\nrun = 'lua'", "run is 'lua'"),
        ("[lua]\nfile = 'a.lua'\nrun = ['lua']\nprepare = ['true']", "prepare is ['true']"),
        ("[lua]\nfile = 'a.lua'\nrun = ['lua']\nspeed = 3", "speed is no field"),
        ("[lua]\nfile = 'a.lua'\nrun = ['lua']\ntime_factor = 0", "time_factor is 0"),
        ("[lua]\nfile = 'a.lua'\nrun = ['lua']\nmemory_extra_mb = -1", "memory_extra_mb is -1"),
        ("lua = 3", "is not a table"),
        ("[lua", "cannot be read"),
    ],
)
def test_a_broken_table_names_file_language_and_field(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "table.toml"
    path.write_text(text)
    with pytest.raises(SandboxInputError, match=re.escape(named)) as error:
        languages.load(path)
    assert str(path) in str(error.value)


def test_the_dockerfile_has_packages_and_what_is_prepared_of_the_table() -> None:
    text = (Path(image.__file__).parent / "Dockerfile").read_text()
    (packages,) = re.findall(r'^ARG PACKAGES="(.*)"$', text, re.MULTILINE)
    table = languages.built_in().values()
    assert packages.split() == image.packages_of(table)
    assert [f"RUN {line}" for line in image.prepare_lines(table)] == [text.splitlines()[-1]]


@pytest.mark.parametrize("name", list(Limits().as_dict()))
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "1"])
def test_limits_that_are_none_name_their_field(name: str, value: object) -> None:
    with pytest.raises(SandboxInputError, match=f"^{name} is "):
        Limits(**{name: value})  # type: ignore[arg-type]


def test_limits_beyond_the_host_and_the_worker_name_their_field() -> None:
    with pytest.raises(SandboxInputError, match=r"memory_mb is 99999: above the 8000 MB of the machine"):
        Limits(memory_mb=99999).check_within(WorkerSize(), 8000)
    with pytest.raises(SandboxInputError, match=r"processes is 500: a worker has 128; .*WorkerSize\(processes=...\)"):
        Limits(processes=500).check_within(WorkerSize(), 8000)
    with pytest.raises(SandboxInputError, match="output_bytes"):
        Limits(output_bytes=2**40)
    Limits().check_within(WorkerSize(), 8000)


def test_factors_widen_limits() -> None:
    scaled = Limits(cpu_seconds=2, memory_mb=100).scaled(1.5, 2.0, 64)
    assert (scaled.cpu_seconds, scaled.memory_mb) == (3.0, 264)
