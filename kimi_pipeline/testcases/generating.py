"""A generator's inputs, drawn and checked inside the sandbox, the same byte for byte from the same seed [2.3.5].

Belongs here: strata, running a generator and a validator, what becomes of each input, the folder with CYaRon. Does not
belong here: where generators come from (`generators.py`), submissions (`execution.py`).

Generators make inputs alone: outputs come from the submissions, so that no reference is needed inside.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.metadata
import importlib.util
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kimi_pipeline.digests import canonical_json, digest
from kimi_pipeline.reasons import Reason
from kimi_pipeline.rewards.outputs import normalise
from sandbox import Limits, Outcome, Sandbox, Verdict

STRATA = {"small": 0.3, "random": 0.4, "extreme": 0.16, "adversarial": 0.14}
"""Kinds of inputs and their shares: tiny ones that a person can follow; all sizes; the ends of every bound; what a plausible
mistake gets wrong."""

PACKAGES = ("cyaron", "xeger", "colorful")
LIMITS = Limits(cpu_seconds=5, wall_seconds=5, memory_mb=512, output_bytes=4 * 1024 * 1024, files=256, disk_mb=16)
MOST_ROUNDS = 3
GIVE_UP_AFTER = 3  # failures in a row that cost time; the cases after them would end the same way

ALLOWED = frozenset(
    [
        "cyaron",
        "random",
        "math",
        "string",
        "itertools",
        "functools",
        "collections",
        "bisect",
        "heapq",
        "fractions",
        "decimal",
        "statistics",
        "re",
        "copy",
        "operator",
        "typing",
        "sys",
        "__future__",
    ]
)
_FORBIDDEN_NAMES = frozenset({"__import__", "open", "eval", "exec", "compile", "input", "__builtins__"})

_REASONS = {
    Outcome.TIME_LIMIT: Reason.GENERATOR_TIMEOUT,
    Outcome.MEMORY_LIMIT: Reason.GENERATOR_MEMORY,
    Outcome.OUTPUT_LIMIT: Reason.GENERATOR_TOO_LARGE,
    Outcome.WRONG_EXIT: Reason.GENERATOR_CRASHED,
    Outcome.COMPILE_ERROR: Reason.NOT_A_PROGRAM,
}


class SandboxFailed(RuntimeError):
    """The sandbox itself failed on a run, three times over: nothing is known of the program, and nothing is stored."""


@dataclass(frozen=True, slots=True)
class Case:
    """One input that was asked for. `data` is None where there is none; usable is what is `generated`."""

    stratum: str
    number: int
    data: bytes | None
    reason: Reason
    detail: str = ""

    @property
    def usable(self) -> bool:
        return self.reason is Reason.GENERATED


def shares(count: int) -> dict[str, int]:
    """How many of `count` cases each stratum gets; what rounding leaves goes to the random ones."""
    parts = {name: round(count * share) for name, share in STRATA.items()}
    parts["random"] += count - sum(parts.values())
    return parts


def check_program(source: str, allowed: Set[str], ready: Reason) -> tuple[Reason, str]:
    """Whether a text is a program with `allowed` imports (then `ready`), before anything runs.

    The sandbox is what contains a program; this keeps what it says a function of what it is given: no clock, no system
    randomness, no files.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Reason.NOT_A_PROGRAM, f"{type(error).__name__}: {error}"[:200]
    for node in ast.walk(tree):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or "."]
        elif isinstance(node, ast.Name) and node.id in _FORBIDDEN_NAMES:
            return Reason.FORBIDDEN_IMPORT, f"line {node.lineno}: {node.id}"
        for module in modules:
            if module.partition(".")[0] not in allowed:
                return Reason.FORBIDDEN_IMPORT, f"line {node.lineno}: import of {module}"  # type: ignore[attr-defined]
    return ready, ""


def check_generator(source: str) -> tuple[Reason, str]:
    """The same with the imports that a generator may need."""
    return check_program(source, ALLOWED, Reason.GENERATOR_READY)


@contextlib.contextmanager
def cyaron_folder() -> Iterator[Path]:
    """A folder that holds CYaRon and what it imports, and nothing else: what a sandbox for generators is opened with."""
    with tempfile.TemporaryDirectory(prefix="kimi-cyaron-") as name:
        folder = Path(name)
        for package in PACKAGES:
            spec = importlib.util.find_spec(package)
            assert spec is not None and spec.submodule_search_locations, f"{package} is a dependency of the project"
            ignored = shutil.ignore_patterns("__pycache__", "tests")
            shutil.copytree(spec.submodule_search_locations[0], folder / package, ignore=ignored)
        folder.chmod(0o755)  # programs run as a user of their own
        yield folder


@cache
def recipe() -> str:
    """What the inputs depend on beside generator and seed: the programs around it and CYaRon's version."""
    return digest([_inside("generate"), _inside("validate"), importlib.metadata.version("cyaron"), LIMITS.as_dict()])


@cache
def _inside(name: str) -> str:
    return (Path(__file__).parent / "inside" / f"{name}.py").read_text()


@dataclass(frozen=True, slots=True)
class Drawn:
    """Whose inputs are drawn, by which generator, checked by which validator (None: by none)."""

    problem_id: str
    generator: str
    validator: str | None


def draw_each(
    box: Sandbox, asked: Sequence[Drawn], *, seed: int, counts: dict[str, int], parallel: int
) -> Iterator[tuple[Drawn, list[Case]]]:
    """The cases of several problems, `parallel` of them at a time, in the order asked. Raises as `draw_inputs`."""

    def draw(one: Drawn) -> list[Case]:
        return draw_inputs(box, one.generator, one.validator, problem_id=one.problem_id, seed=seed, counts=counts)

    with ThreadPoolExecutor(parallel, thread_name_prefix="generators") as pool:
        try:
            yield from zip(asked, pool.map(draw, asked), strict=True)
        finally:
            pool.shutdown(cancel_futures=True)


def draw_inputs(
    box: Sandbox, generator: str, validator: str | None, *, problem_id: str, seed: int, counts: dict[str, int]
) -> list[Case]:
    """The cases of a problem: as many a stratum as `counts` says, in order.

    An input that repeats an earlier one is replaced by a further one, as long as there are rounds; one that breaks the
    constraints is not: a generator is judged by what it makes. Raises SandboxFailed where the sandbox itself fails.
    """
    cases: list[Case] = []
    seen: set[bytes] = set()
    start = dict.fromkeys(counts, 0)
    wanted = dict(counts)
    for _ in range(MOST_ROUNDS):
        asked = [(stratum, start[stratum] + k) for stratum, count in wanted.items() for k in range(count)]
        drawn = _drawn(box, generator, asked, problem_id, seed)
        fresh = [_unless_seen(case, seen) for case in drawn]
        cases += _checked(box, fresh, validator)
        repeats = Counter(case.stratum for case in fresh if case.reason is Reason.DUPLICATE_INPUT)
        start = {stratum: start[stratum] + count for stratum, count in wanted.items()}
        wanted = dict(repeats)
        if not wanted or len(drawn) < len(asked):
            break
    return cases


def _drawn(box: Sandbox, generator: str, asked: Sequence[tuple[str, int]], problem_id: str, seed: int) -> list[Case]:
    """One case an asked (stratum, number); fewer where the generator fails again and again."""
    program = f"{_inside('generate')}\nrun_generator({generator!r})\n"
    inputs = [
        canonical_json(
            {"seed": digest([seed, problem_id, stratum, number]), "stratum": stratum, "number": number}
        ).encode()
        + b"\n"
        for stratum, number in asked
    ]
    cases: list[Case] = []
    failures = 0
    with contextlib.closing(box.run(program, "python", inputs, LIMITS)) as verdicts:  # type: ignore[type-var]
        for (stratum, number), verdict in zip(asked, verdicts, strict=False):
            cases.append(_case(stratum, number, verdict))
            failures = failures + 1 if verdict.outcome is not Outcome.OK else 0
            if failures == GIVE_UP_AFTER:
                break
    return cases


def _case(stratum: str, number: int, verdict: Verdict) -> Case:
    if verdict.outcome is Outcome.SANDBOX_ERROR:
        raise SandboxFailed(verdict.detail)
    if verdict.outcome is not Outcome.OK:
        told = verdict.stderr.decode(errors="replace").strip().splitlines()
        return Case(stratum, number, None, _REASONS[verdict.outcome], (told[-1] if told else verdict.detail)[:300])
    if normalise(verdict.stdout) is None:
        return Case(stratum, number, None, Reason.INPUT_NOT_UTF8)
    text = normalise(verdict.stdout) or ""
    if not text.strip():
        return Case(stratum, number, None, Reason.EMPTY_INPUT)
    return Case(stratum, number, f"{text}\n".encode(), Reason.GENERATED)


def _unless_seen(case: Case, seen: set[bytes]) -> Case:
    if case.data is None:
        return case
    if case.data in seen:
        return Case(case.stratum, case.number, case.data, Reason.DUPLICATE_INPUT)
    seen.add(case.data)
    return case


def _checked(box: Sandbox, cases: Sequence[Case], validator: str | None) -> list[Case]:
    """The cases, those that the validator refuses marked so. A validator that fails refuses too, and says how."""
    if validator is None:
        return list(cases)
    program = f"{_inside('validate')}\n{validator}\n"
    usable = [case.data for case in cases if case.usable and case.data is not None]
    verdicts = iter(list(box.run(program, "python", usable, LIMITS)))
    return [_validated(case, next(verdicts)) if case.usable else case for case in cases]


def _validated(case: Case, verdict: Verdict) -> Case:
    if verdict.outcome is Outcome.SANDBOX_ERROR:
        raise SandboxFailed(verdict.detail)
    if verdict.outcome is Outcome.OK:
        return case
    told = verdict.stderr.decode(errors="replace").strip().splitlines()
    return Case(case.stratum, case.number, case.data, Reason.BREAKS_CONSTRAINTS, (told[-1] if told else "")[:300])
