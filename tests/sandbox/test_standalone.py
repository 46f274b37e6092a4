"""The sandbox is a library of its own: it works where nothing of the pipeline, and no other package, can be imported."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import docker
import requests
import urllib3

from kimi_pipeline.home import CHECKOUT
from sandbox import Sandbox, bundle

SOURCES = CHECKOUT / "sandbox"


def imported(path: Path) -> set[str]:
    """Top-level names that a module imports, at any depth of it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return names


def test_it_imports_itself_docker_and_the_standard_library() -> None:
    for path in SOURCES.rglob("*.py"):
        outside = {name.split(".")[0] for name in imported(path)} - set(sys.stdlib_module_names)
        assert outside <= {"sandbox", "docker", "requests"}, path  # docker-py brings requests


def test_what_runs_inside_imports_the_standard_library_alone() -> None:
    inside = {f"sandbox.{name}" for name in bundle.INSIDE} | {"sandbox"}
    for name in bundle.INSIDE:
        names = {n for n in imported(SOURCES / f"{name}.py") if n.split(".")[0] not in sys.stdlib_module_names}
        assert names <= inside, name


def test_it_works_in_a_venv_with_docker_py_only(docker_room: Sandbox, tmp_path: Path) -> None:
    """A copy of the folder, a venv with docker-py and what that needs, nothing else: a program runs."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    import certifi
    import charset_normalizer
    import idna

    for module in (docker, requests, urllib3, certifi, idna, charset_normalizer):
        folder = Path(str(module.__file__)).parent
        shutil.copytree(folder, packages / folder.name)
    shutil.copytree(SOURCES, tmp_path / "alone" / "sandbox", ignore=shutil.ignore_patterns("__pycache__"))
    program = """
import importlib.util, sys
assert importlib.util.find_spec("kimi_pipeline") is None and importlib.util.find_spec("dagster") is None
import sandbox
(verdict,) = sandbox.run("print(int(input()) * 2)", "python", [b"21"], backend="docker")
print(verdict.outcome, verdict.stdout)
"""
    done = subprocess.run(
        [tmp_path / "venv" / "bin" / "python", "-I", "-c", f"import sys; sys.path.insert(0, '.')\n{program}"],
        cwd=tmp_path / "alone",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "ok b'42\\n'\n", done.stderr
