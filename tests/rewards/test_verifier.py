"""The verifier's workers: bombs, kills, threads, event loops, forks. Nothing here mocks a worker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kimi_pipeline.bench.poison import BOMBS, Fed, feed
from kimi_pipeline.rewards.contract import Reference, Response, Status
from kimi_pipeline.rewards.math_rules import MathReward
from kimi_pipeline.rewards.pool import Pool
from kimi_pipeline.rewards.verifier import Verdict, Verifier
from kimi_pipeline.rewards.worker_process import Limits

FORMULAS = [("a^2-4", "(a+2)(a-2)", True), ("\\sqrt{12}", "2\\sqrt{3}", True), ("x+1", "x+2", False)]
TOWER = "9^{9^{9^{9}}}"


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    pool = Pool(Limits(cpu_seconds=1.0))
    yield pool
    pool.close()


@pytest.fixture
def verifier(pool: Pool) -> Verifier:
    return Verifier(lambda: pool)


def status(right: bool) -> Status:
    return Status.CORRECT if right else Status.WRONG


def test_a_bomb_ends_with_its_status_and_its_group_goes_on(verifier: Verifier) -> None:
    answers = ["\\sqrt{12}", TOWER, "2\\sqrt{3}", "(10^{9})!", None, " ", "3"]
    found = verifier.verify("2\\sqrt{3}", answers)
    assert [one.status for one in found] == [
        Status.CORRECT, Status.UNVERIFIABLE, Status.CORRECT, Status.UNVERIFIABLE, Status.NO_ANSWER, Status.NO_ANSWER,
        Status.WRONG,
    ]  # fmt: skip
    assert {found[1].reason, found[3].reason} <= {"deadline", "memory"}


def test_a_reference_that_is_a_bomb_excludes_and_is_found_beforehand(verifier: Verifier) -> None:
    (found,) = verifier.verify(TOWER, ["\\sqrt{2}"])
    assert found.status is Status.INFRASTRUCTURE_ERROR and str(found.reason).startswith("reference_")
    (breakdown,) = MathReward(verifier).score(Reference("p", TOWER, "expression"), [Response("\\boxed{\\sqrt{2}}", 3)])
    assert breakdown.reward is None
    assert verifier.checkable(TOWER) in ("deadline", "memory")
    assert verifier.checkable("\\frac{\\sqrt{3}}{2}") is None
    assert verifier.checkable("  ") == "empty"
    assert verifier.checkable("Paris") is None
    assert verifier.checkable("\\sqrt{") == "undecided"


def test_a_killed_worker_is_replaced_and_the_answer_asked_again(pool: Pool, verifier: Verifier) -> None:
    verifier.verify("a^2-4", ["(a+2)(a-2)"])
    for pid in pool.pids:
        os.kill(pid, signal.SIGKILL)
    (found,) = verifier.verify("a^2-9", ["(a+3)(a-3)"])
    assert found == Verdict(Status.CORRECT, None, fast=False)


def test_a_worker_that_never_starts_excludes_says_why_and_is_not_remembered(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    no_package = tmp_path / "python"
    no_package.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'sympy'\" >&2; exit 1\n")
    no_package.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(no_package))
    broken = Pool()
    verifier = Verifier(lambda: broken)
    with caplog.at_level(logging.WARNING, logger="kimi_pipeline.rewards.worker_process"):
        found = verifier.verify("a^2-4", ["(a+2)(a-2)"])
    assert found == [Verdict(Status.INFRASTRUCTURE_ERROR, "worker_failed", False)]
    assert "did not start (exit code 1): ModuleNotFoundError: No module named 'sympy'" in caplog.text
    monkeypatch.undo()
    assert verifier.verify("a^2-4", ["(a+2)(a-2)"])[0].status is Status.CORRECT
    broken.close()


def test_a_worker_finds_what_lies_on_the_callers_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with contextlib.closing(Pool(Limits(workers=1))) as pool:
        assert Verifier(lambda: pool).verify("a^2-4", ["(a+2)(a-2)"])[0].status is Status.CORRECT
    assert (tmp_path / "imported").is_file()


def test_a_full_queue_excludes() -> None:
    pool = Pool(Limits(workers=1, waiting=1, cpu_seconds=1.0))
    try:
        futures = [pool.submit("\\sqrt{2}", [TOWER], "", wait=0.01) for _ in range(6)]
        found = [future.result()[0] for future in futures]
    finally:
        pool.close()
    assert [one for one in found if one.failed and one.reason == "queue_full"]
    assert [one for one in found if not one.failed and one.reason in ("deadline", "memory")]


def test_verdicts_are_remembered_and_equal_answers_asked_once(verifier: Verifier) -> None:
    first = verifier.verify("x^2-49", ["(x+7)(x-7)"] * 3 + ["(x+7)(x+7)"])
    started = time.process_time()
    assert verifier.verify("x^2-49", ["(x+7)(x-7)"] * 3 + ["(x+7)(x+7)"]) == first
    assert time.process_time() - started < 0.1
    assert [one.status for one in first] == [Status.CORRECT] * 3 + [Status.WRONG]


def test_plain_answers_start_no_worker() -> None:
    """Integers and tuples of the built-in families never leave the process, whatever a policy prints for them."""

    def no_pool() -> Pool:
        raise AssertionError("a worker was asked")

    verifier = Verifier(no_pool)
    answers = [
        "12",
        "13",
        "(3, 4)",
        "(3, 4, 5",
        "3 + 4",
        "12,",
        "--",
        "((3,4)",
        "12 apples",
        "",
        "3,4",
        "12 12",
        "-",
        "=",
    ]
    for reference, kind in (("12", "integer"), ("(3, 4)", "tuple"), ("[1, 2, 3]", "tuple"), ("even", "text")):
        assert len(verifier.verify(reference, answers, kind)) == len(answers)


def test_a_pool_may_be_warmed_up_before_anybody_asks() -> None:
    with contextlib.closing(Pool(Limits(workers=2))) as pool:
        pool.warm_up()
        end = time.monotonic() + 60
        while not pool.pids and time.monotonic() < end:
            time.sleep(0.01)
        (worker,) = pool.pids
        assert pool.submit("2", ["2"], "integer").result(60)[0].same is True
        assert pool.pids == [worker]


def test_threads_and_event_loops_may_ask(verifier: Verifier) -> None:
    def ask(number: int) -> bool:
        reference, answer, right = FORMULAS[number % 3]
        return verifier.verify(f"{reference}+{number}", [f"{answer}+{number}"])[0].status is status(right)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(48)))

    async def many() -> list[list[Verdict]]:
        return await asyncio.gather(
            *(verifier.verify_async(f"{ref}-{n}", [f"{answer}-{n}"]) for n in range(8) for ref, answer, _ in FORMULAS)
        )

    assert [one.status for (one,) in asyncio.run(many())] == [status(right) for _ in range(8) for *_, right in FORMULAS]


def test_no_signal_handler_of_the_caller_is_touched(verifier: Verifier) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGPROF, signal.SIGINT, signal.SIGCHLD)]
    verifier.verify("a^2-25", ["(a+5)(a-5)", TOWER])
    after = [signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGPROF, signal.SIGINT, signal.SIGCHLD)]
    assert before == after and signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_a_forked_child_has_workers_of_its_own() -> None:
    script = """
import os, sys
from kimi_pipeline.rewards.verifier import shared_verifier
from kimi_pipeline.rewards.pool import shared_pool
ask = lambda n: shared_verifier().verify(f"x^2-{n}", [f"-({n}-x^2)"])[0].status.value
assert ask(3) == "correct"
mine = set(shared_pool().pids)
child = os.fork()
if child == 0:
    ok = ask(5) == "correct" and not mine & set(shared_pool().pids)
    shared_pool().close()
    os._exit(0 if ok else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert ask(7) == "correct" and set(shared_pool().pids) == mine
print(*mine)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=120, cwd=Path.cwd()
    )
    assert ended.returncode == 0, ended.stderr
    assert gone([int(pid) for pid in ended.stdout.split()])


def test_workers_die_with_a_caller_that_is_killed() -> None:
    script = """
import time
from kimi_pipeline.bench.poison import BOMBS
from kimi_pipeline.rewards.pool import shared_pool
shared_pool().submit("\\\\sqrt{2}", [BOMBS["binomial"](n) for n in range(50)], "")
while not shared_pool().pids:
    time.sleep(0.05)
print(*shared_pool().pids, flush=True)
time.sleep(60)
"""
    caller = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    assert caller.stdout is not None
    pids = [int(pid) for pid in caller.stdout.readline().split()]
    caller.kill()
    caller.wait()
    assert pids and gone(pids)


def gone(pids: list[int]) -> bool:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if not any(Path(f"/proc/{pid}").exists() and "Z" not in state(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


BAD_INPUT = [
    ("", Status.NO_ANSWER), (None, Status.NO_ANSWER), ("NaN", Status.WRONG), ("nan", Status.WRONG), ("null", Status.WRONG),
    ("\\frac{1}{", Status.UNVERIFIABLE), ("\\left(3", Status.WRONG), ("{{{", Status.UNVERIFIABLE),
    ("１８", Status.CORRECT), ("18\u200b", Status.WRONG), ("𝟏𝟖", Status.CORRECT), ("l8", Status.WRONG),
    ("18\x00", Status.WRONG), ("\ud800", Status.WRONG), ("十八", Status.CORRECT), ("9" * 1_000_000, Status.WRONG),
    ("x" * 1_000_000, Status.WRONG), ("\\frac" * 200_000, Status.UNVERIFIABLE),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "expected"), BAD_INPUT, ids=range(len(BAD_INPUT)))
def test_bad_input_has_a_status_and_no_exception(verifier: Verifier, answer: str | None, expected: Status) -> None:
    (found,) = verifier.verify("18", [answer], "integer")
    assert found.status in (expected, Status.UNVERIFIABLE if expected is Status.WRONG else expected), found
    assert found.reason is not None or found.status is not Status.UNVERIFIABLE


def test_poison_among_good_answers(pool: Pool) -> None:
    """1 % and more of bombs: nothing hangs, each ends with its status, all others are right. The full size is
    `kimi-pipeline bench poison`."""
    fed: Fed = feed(Verifier(lambda: pool), pairs=300, bombs=len(BOMBS), seed=1)
    assert fed.wrong == [] and fed.undead == [] and fed.bombs == len(BOMBS)
    threads: list[Fed] = []
    workers = [
        threading.Thread(target=lambda n=n: threads.append(feed(Verifier(lambda: pool), 60, 2, seed=n)))
        for n in range(3)
    ]
    for one in workers:
        one.start()
    for one in workers:
        one.join(timeout=120)
    assert len(threads) == 3 and all(fed.wrong == [] and fed.undead == [] for fed in threads)
