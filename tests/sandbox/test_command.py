"""`python -m sandbox` and `kimi-pipeline sandbox`: output, exit codes, one line for every wrong word."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

import sandbox
from kimi_pipeline.errors import UserError
from kimi_pipeline.profiles import load_profile
from resources.pools import PROGRAMS
from resources.sandbox import SandboxResource
from sandbox.command import main
from tests.conftest import missing


@pytest.fixture(scope="module")
def backend() -> str:
    """A backend that works here."""
    refusals = []
    for name in ("bubblewrap", "docker"):
        try:
            sandbox.make_backend(name).close()
            return name
        except sandbox.BackendUnavailable as error:
            refusals.append(str(error))
    missing("; ".join(refusals))
    raise AssertionError


def program(folder: Path, text: str = "print(input()[::-1])\n", name: str = "reverse.py") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def data(folder: Path, text: str) -> str:
    path = folder / f"{text}.txt"
    path.write_text(text + "\n")
    return str(path)


def test_run_shows_what_programs_write(backend: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    inputs = [data(tmp_path, "abc"), data(tmp_path, "xyz")]
    assert main(["run", program(tmp_path), "--input", *inputs, "--backend", backend]) == 0
    out, err = capfdbinary.readouterr()
    assert out == b"cba\nzyx\n"
    assert b"[0] ok" in err and b"[1] ok" in err


def test_run_as_json_and_the_exit_code(backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", program(tmp_path, "exit 3\n", "a.sh"), "--backend", backend, "--json"]
    assert main(words) == 1
    (verdict,) = json.loads(capsys.readouterr().out)
    assert (verdict["outcome"], verdict["exit_code"], verdict["input_index"]) == ("wrong_exit", 3, 0)
    assert verdict["image"].startswith("sha256:")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cpu-seconds", "0"], "cpu_seconds"),
        (["--memory-mb", "99999999"], "memory_mb"),
        (["--language", "cobol"], "cobol"),
        (["--input", "/nowhere/input"], "/nowhere/input cannot be read"),
        (["--packages", "/nowhere"], "packages /nowhere"),
    ],
)
def test_bad_input_is_one_line_that_names_it(
    backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["run", program(tmp_path), "--backend", backend, *words]) == 2
    error = capsys.readouterr().err
    assert said in error and error.startswith("error: ") and error.count("\n") == 1


def test_a_wrong_socket_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--backend", "docker", "--engine", f"unix://{tmp_path}/no.sock"]
    assert main(["run", program(tmp_path), *words]) == 2
    assert "no.sock" in capsys.readouterr().err
    assert main(["doctor", *words, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found[0]["ok"] is False and "no.sock" in found[0]["fix"]


def test_a_file_of_no_language_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", program(tmp_path, name="reverse.xyz")]) == 2
    assert "--language" in capsys.readouterr().err


def test_doctor_says_what_works(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--backend", backend, "--json"]) == 0
    found = {row["what"]: row for row in json.loads(capsys.readouterr().out)}
    assert found["sandbox"]["ok"] is True
    assert found[f"sandbox: {backend}: python"]["ok"] is True


def test_abuse_as_json_has_four_keys(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["abuse", "--backend", backend, "--case", "identity", "--case", "keyctl", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["case"], row["backend"], row["contained"]) for row in found] == [
        ("keyctl", backend, True),
        ("identity", backend, True),
    ]
    assert all(set(row) == {"case", "backend", "contained", "evidence"} and row["evidence"] for row in found)


def test_the_pipelines_door_takes_the_profiles_settings(backend: str, tmp_path: Path) -> None:
    environment = os.environ | {"KIMI_SET": json.dumps({"sandbox.backend": backend}), "KIMI_HOME": str(tmp_path)}
    words = [
        sys.executable,
        "-m",
        "kimi_pipeline.cli",
        "sandbox",
        "run",
        program(tmp_path),
        "--input",
        data(tmp_path, "abc"),
        "--json",
    ]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)[0]["stdout"] == "cba\n"
    environment["KIMI_SET"] = json.dumps({"sandbox.backend": "none"})
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "sandbox.backend" in done.stderr


def test_an_asset_runs_programs_with_the_resource(backend: str) -> None:
    @dg.asset(pool=PROGRAMS)
    def answer(sandbox: SandboxResource) -> int:
        with sandbox.open(load_profile("smoke", {"sandbox.pool_size": 1})) as opened:
            return int(next(opened.run("print(6 * 7)", "python", [b""])).stdout)

    result = dg.materialize([answer], resources={"sandbox": SandboxResource(backend=backend)})
    assert result.output_for_node("answer") == 42


def test_without_a_backend_the_resource_refuses(tmp_path: Path) -> None:
    resource = SandboxResource(backend="docker", engine=f"unix://{tmp_path}/no.sock")
    with pytest.raises(UserError, match=r"no\.sock"), resource.open(load_profile("smoke", {})):
        pass
