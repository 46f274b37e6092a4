"""The library's own door: `python -m sandbox doctor | run | abuse | bench | equivalence`.

Belongs here: arguments, tables for people, `--json` for machines, exit codes (0 done, 1 the answer is no, 2 bad usage
or input, with one line that says what to do). Does not belong here: what a command does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import sandbox
from sandbox import languages
from sandbox.errors import SandboxError, SandboxInputError
from sandbox.verdicts import Limits, Outcome, Verdict

DONE, NO, BAD_INPUT = 0, 1, 2
_SETTINGS = ("engine", "image", "runtime", "root", "packages", "allow_no_cgroup")


def main(
    arguments: Sequence[str] | None = None,
    *,
    program: str = "python -m sandbox",
    settings: Mapping[str, Any] | None = None,
) -> int:
    """Run a command and return its exit code. `settings` are defaults of the options that all commands share."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser(program, settings or {}).parse_args(words)
    try:
        return int(options.function(options, f"{program} {' '.join(words)}"))
    except SandboxError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT


def _parser(program: str, settings: Mapping[str, Any]) -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--backend", choices=["auto", *sandbox.BACKENDS], help="default: auto (docker, else bubblewrap)"
    )
    shared.add_argument("--engine", help="URL of the container engine (default: DOCKER_HOST, else the usual socket)")
    shared.add_argument("--image", help="the image that programs run in")
    shared.add_argument("--runtime", help="a runtime of the engine: runc, crun, runsc")
    shared.add_argument("--root", type=Path, help="bubblewrap: a root file system (default: this machine's /usr)")
    shared.add_argument("--packages", type=Path, help="a folder of Python packages for programs, read-only")
    shared.add_argument("--pool-size", type=int, help="workers that are kept warm")
    shared.add_argument(
        "--allow-no-cgroup",
        action="store_true",
        help="bubblewrap without control groups: less is bounded; say it aloud",
    )
    shared.add_argument("--json", action="store_true", help="machine-readable output")
    shared.set_defaults(**{"backend": "auto", "pool_size": 2, **{k: v for k, v in settings.items() if v is not None}})

    parser = argparse.ArgumentParser(
        prog=program, description="Runs untrusted programs, and shows that they stay inside."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    doctor = commands.add_parser("doctor", parents=[shared], help="which backend works here, and what to install")
    doctor.set_defaults(function=_doctor)

    run = commands.add_parser("run", parents=[shared], help="run a program on inputs")
    run.add_argument("program", type=Path, help="the source file")
    run.add_argument(
        "--input",
        nargs="+",
        action="extend",
        type=Path,
        default=[],
        help="input files (default: one empty one; - is stdin)",
    )
    run.add_argument("--language", help="default: by the file's suffix")
    run.add_argument("--table", type=Path, default=languages.BUILT_IN, help="a table of languages of your own")
    for field in fields(Limits):
        kind = float if field.type == "float" else int
        run.add_argument(
            f"--{field.name.replace('_', '-')}", type=kind, default=field.default, help="default: %(default)s"
        )
    run.set_defaults(function=_run)

    abuse = commands.add_parser(
        "abuse", parents=[shared], help="programs that try to get out, on every backend there is"
    )
    abuse.add_argument("--case", action="append", default=[], help="only this case; may be repeated")
    abuse.set_defaults(function=_abuse)

    bench = commands.add_parser("bench", parents=[shared], help="runs a second, beside a container or a process a run")
    bench.add_argument("--quick", action="store_true", help="a small measurement, to see that it works")
    bench.add_argument(
        "--peer-inputs", type=int, help="inputs of each submission that are run in containers of their own"
    )
    bench.set_defaults(function=_bench)

    equivalence = commands.add_parser(
        "equivalence", parents=[shared], help="200 programs: the same verdicts everywhere?"
    )
    equivalence.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    equivalence.add_argument("--every", type=int, default=1, help="only one program in so many")
    equivalence.add_argument("--loaded", action="store_true", help="keep every core busy meanwhile")
    equivalence.set_defaults(function=_equivalence)
    return parser


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in _SETTINGS}


def _open(options: argparse.Namespace, name: str, **more: Any) -> sandbox.Sandbox:
    if options.allow_no_cgroup:
        print(
            "warning: --allow-no-cgroup: nothing but the agent bounds all processes of a program together",
            file=sys.stderr,
        )
    return sandbox.open(name, pool_size=options.pool_size, patience=20.0, **_settings(options), **more)


def _backends(options: argparse.Namespace) -> tuple[str, ...]:
    return sandbox.BACKENDS if options.backend == "auto" else (options.backend,)


def _emit(value: Any, as_json: bool, lines: Iterable[str]) -> None:
    if as_json:
        print(json.dumps(value, indent=2))
    else:
        for line in lines:
            print(line)


def _doctor(options: argparse.Namespace, command: str) -> int:
    from sandbox.doctor import examine

    found = examine(_backends(options), **_settings(options))
    marks = {True: "yes", False: "NO", None: "-"}
    lines = [f"{marks[f.ok]:4}{f.what:34}{f.detail}" + (f"\n    fix: {f.fix}" if f.fix else "") for f in found]
    _emit([asdict(f) for f in found], options.json, lines)
    return DONE if found[0].ok else NO


def _run(options: argparse.Namespace, command: str) -> int:
    table = languages.load(options.table)
    language = options.language or _by_suffix(options.program, table)
    limits = Limits(**{field.name: getattr(options, field.name) for field in fields(Limits)})
    source = _read(options.program)
    inputs = [_read(path) for path in options.input] or [b""]
    verdicts = []
    with _open(options, options.backend, table=table) as opened:
        for verdict in opened.run(source, language, inputs, limits):
            verdicts.append(verdict)
            if not options.json:
                _show(verdict, several=len(inputs) > 1)
    if options.json:
        print(json.dumps([_plain(verdict) for verdict in verdicts], indent=2))
    return DONE if all(verdict.outcome == Outcome.OK for verdict in verdicts) else NO


def _by_suffix(path: Path, table: Mapping[str, languages.Language]) -> str:
    for name, row in table.items():
        if path.suffix and path.suffix == Path(row.file).suffix:
            return name
    raise SandboxInputError(f"no language has files like {path.name}: give --language {'|'.join(sorted(table))}")


def _read(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise SandboxInputError(f"{path} cannot be read: {error.strerror}") from error


def _show(verdict: Verdict, several: bool) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(verdict.stdout)
    sys.stdout.buffer.flush()
    figures = f"{verdict.cpu_seconds:.3f} s CPU, {verdict.wall_seconds:.3f} s, {verdict.peak_memory_mb:.0f} MB"
    head = f"[{verdict.input_index}] " if several else ""
    detail = f" ({verdict.detail})" if verdict.detail else ""
    print(verdict.stderr.decode(errors="replace"), end="", file=sys.stderr)
    print(f"{head}{verdict.outcome}{detail}: {figures}{', output cut' if verdict.truncated else ''}", file=sys.stderr)


def _plain(verdict: Verdict) -> dict[str, Any]:
    texts = {name: getattr(verdict, name).decode(errors="replace") for name in ("stdout", "stderr")}
    return asdict(verdict) | texts | {"outcome": str(verdict.outcome)}


def _abuse(options: argparse.Namespace, command: str) -> int:
    from sandbox.abuse.suite import run_suite

    findings, refusals = [], []
    for name in _backends(options):
        with contextlib.ExitStack() as stack:
            try:
                opened = stack.enter_context(_open(options, name))
            except sandbox.BackendUnavailable as error:
                refusals.append(f"{name}: {error}")
                print(f"not examined: {name}: {error}", file=sys.stderr)
                continue
            for finding in run_suite(opened, name, options.case):
                findings.append(finding)
                if not options.json:
                    mark = "contained" if finding.contained else "NOT CONTAINED"
                    print(f"{mark:14}{name:12}{finding.case:28}{finding.evidence}", flush=True)
        left = opened.backend.leftovers()
        if left:
            print(f"error: {name} leaves {', '.join(left)}", file=sys.stderr)
            return NO
    if not findings:
        raise sandbox.BackendUnavailable("; ".join(refusals))
    if options.json:
        keys = ("case", "backend", "contained", "evidence")
        print(json.dumps([{key: getattr(finding, key) for key in keys} for finding in findings], indent=2))
    return DONE if all(finding.contained for finding in findings) else NO


def _bench(options: argparse.Namespace, command: str) -> int:
    from dataclasses import replace

    from sandbox import bench

    size = bench.QUICK if options.quick else bench.Size()
    if options.peer_inputs:
        size = replace(size, peer_inputs=min(options.peer_inputs, size.inputs))
    given = {name: str(value) if isinstance(value, Path) else value for name, value in _settings(options).items()}
    probe = [sys.executable, "-m", "sandbox.bench", json.dumps(given)]
    names = _backends(options)
    found = bench.measure(lambda name: _open(options, name), names, size, options.engine, options.image, command, probe)
    _emit(found, options.json, [f"{key}: {value}" for key, value in _flat(found["figures"])])
    if not options.json:
        print(f"{found['ratio']} times {found['peer']}" if found["peer"] else "no peer: there is no engine")
    return DONE


def _equivalence(options: argparse.Namespace, command: str) -> int:
    from sandbox.equivalence import compare, share

    with contextlib.ExitStack() as stack:
        opened = {name: stack.enter_context(_open(options, name)) for name in _backends(options)}
        found = compare(opened, share(options.every), options.rounds, options.loaded)
    runs = f"{found['runs']} runs of {found['programs']} programs on {' and '.join(found['backends'])}"
    lines = [f"{backend}, round {number}: {name}: {text}" for backend, number, name, text in found["wrong"]]
    _emit(found, options.json, [*lines, f"{runs}: {len(lines)} wrong verdicts"])
    return NO if found["wrong"] else DONE


def _flat(figures: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in figures.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
