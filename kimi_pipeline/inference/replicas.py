"""Several vLLM engines beside each other on one machine as one carrier: a process each, requests to the least busy one.

Belongs here: those processes, what is said to them and by them. Does not belong here: what an engine is asked for
(`vllm_carrier.py`), engines of RL, which has one a rank (`rl/`).

A small model's decode step keeps one CPU core busy and no more, whatever the number of threads; on GPUs each engine has cards of
its own. A request's tokens don't depend on what decodes beside it, so the number of engines changes no sample (`vllm_carrier.py`
says where rounding may).

Two ends of a pipe, messages as tuples. To an engine: `("serve", folder)`, `("ask", requests)`, `("abort",)`, `("end",)`. From it:
`("serving",)` or `("refused", why)`, `("done", completions)`, `("aborted",)`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Generator, Iterable, Iterator
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NoReturn, Self

from kimi_pipeline.errors import UserError
from kimi_pipeline.inference.request import Completion, SampleRequest
from kimi_pipeline.inference.vllm_carrier import VllmCarrier, VllmServer, ahead
from kimi_pipeline.jobs import die_with_parent
from kimi_pipeline.profiles import Profile
from kimi_pipeline.profiles.sections import Inference

END_SECONDS = 2.0  # for an engine's process to end by itself


class Replicas:
    """As many engines as `inference.data_parallel` says. Make it before this process has threads: the engines' processes are
    forks of it, so that what it has imported need not be imported again. They import the rest and start when `serving` is called.
    """

    name = "vllm"

    def __init__(self, profile: Profile) -> None:
        settings = profile.inference
        self._room = ahead(settings)
        self._folder: Path | None = None
        self.replicas: list[Replica] = []
        for devices in own_devices(settings, os.environ.get("CUDA_VISIBLE_DEVICES")):
            self.replicas.append(Replica(len(self.replicas), profile, devices, [one.line for one in self.replicas]))

    def serving(self, folder: Path) -> Self:
        """All engines with the weights of `folder`. Raises UserError for a folder that can't be served."""
        if folder != self._folder:
            self._folder = None  # until all serve it: a refusal leaves an engine without weights
            for one in self.replicas:
                one.tell("serve", folder)
            answers = [one.hear() for one in self.replicas]
            for answer in answers:
                if answer[0] == "refused":
                    raise UserError(answer[1])
            self._folder = folder
        return self

    def generate(self, requests: Iterable[SampleRequest]) -> Generator[Completion, None, None]:
        """Completions as they finish. Requests are pulled as the engines have room for them.

        Where the caller stops early, what is still decoding is aborted. Raises RuntimeError where an engine's process died.
        """
        waiting = iter(requests)
        try:
            while True:
                self._hand_out(waiting)
                busy = [one for one in self.replicas if one.under_way]
                if not busy:
                    return
                ready = connection.wait([one.line for one in busy])
                for one in busy:
                    if one.line in ready:
                        yield from one.answers()
        finally:
            self._abort()

    def _hand_out(self, waiting: Iterator[SampleRequest]) -> None:
        """Fill up all engines evenly, with one message each."""
        shares: list[list[SampleRequest]] = [[] for _ in self.replicas]
        loads = [one.under_way for one in self.replicas]
        while (least := min(loads)) < self._room and (request := next(waiting, None)) is not None:
            number = loads.index(least)
            shares[number].append(request)
            loads[number] += 1
        for one, share in zip(self.replicas, shares, strict=True):
            if share:
                one.ask(share)

    def _abort(self) -> None:
        busy = [one for one in self.replicas if one.under_way]
        for one in busy:
            one.tell("abort")
        for one in busy:
            while one.hear()[0] != "aborted":
                pass
            one.under_way = 0

    def close(self) -> None:
        """End all processes, those that are starting an engine or decoding as well."""
        for one in self.replicas:
            one.ask_to_end()
        for one in self.replicas:
            one.end()
        self.replicas = []


class Replica:
    """One engine's process, seen from here. `under_way` counts requests that it has not answered yet."""

    def __init__(self, number: int, profile: Profile, devices: dict[str, str], others: list[Connection]) -> None:
        self.number = number
        self.under_way = 0
        self.line, far = connection.Pipe()
        # A fork would keep the others' near ends open, and they would not see this process die.
        foreign = [*others, self.line]
        self._process = get_context("fork").Process(target=_be_replica, args=(profile, devices, far, foreign))
        self._process.start()
        far.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def tell(self, *message: Any) -> None:
        try:
            self.line.send(message)
        except (BrokenPipeError, ConnectionResetError):
            raise self._died() from None

    def hear(self) -> tuple[Any, ...]:
        try:
            message: tuple[Any, ...] = self.line.recv()
        except (EOFError, ConnectionResetError):
            raise self._died() from None
        return message

    def ask(self, requests: list[SampleRequest]) -> None:
        self.under_way += len(requests)
        self.tell("ask", requests)

    def answers(self) -> list[Completion]:
        """The completions of its next message."""
        completions: list[Completion] = self.hear()[1]
        self.under_way -= len(completions)
        return completions

    def _died(self) -> RuntimeError:
        self.under_way = 0
        self._process.join(END_SECONDS)
        return RuntimeError(
            f"engine {self.number} died with exit code {self._process.exitcode}: its lines above say why"
        )

    def ask_to_end(self) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has ended already
            self.line.send(("end",))

    def end(self) -> None:
        """Wait for the process, and kill it where it is busy: nobody asks for what it does any more."""
        self._process.join(END_SECONDS)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self.line.close()


# -- the engine's process ---------------------------------------------------------------------------------------


def _be_replica(profile: Profile, devices: dict[str, str], line: Connection, foreign: list[Connection]) -> NoReturn:
    """Start engines and answer until told to end, or until nobody is left who could tell."""
    code = 1
    try:
        # Signals reach the whole process group. Who made us commits what is done, and then ends us or is gone.
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_IGN)
        die_with_parent(signal.SIGKILL)
        for one in foreign:
            one.close()
        os.environ.update(devices)
        heard: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        threading.Thread(target=_listen, args=(line, heard), daemon=True).start()
        _serve(profile, line, heard)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)  # engines keep threads of their own, and nothing that they still do matters


def _listen(line: Connection, heard: SimpleQueue[tuple[Any, ...]]) -> None:
    """Read at once what is said: neither side may wait for the other to read while that one waits to be read."""
    try:
        while True:
            heard.put(line.recv())
    except (EOFError, OSError):
        os._exit(0)  # nobody is left to answer


def _serve(profile: Profile, line: Connection, heard: SimpleQueue[tuple[Any, ...]]) -> None:
    server = VllmServer(profile)
    carrier: VllmCarrier | None = None
    while True:
        done: list[Completion] = []
        while carrier is None or not carrier.is_busy or not heard.empty():
            match heard.get():
                case "serve", folder:
                    carrier = None
                    try:
                        carrier = server.serving(folder)
                        line.send(("serving",))
                    except UserError as error:
                        line.send(("refused", str(error)))
                case "ask", requests:
                    assert carrier is not None
                    done += [refused for one in requests if (refused := carrier.submit(one)) is not None]
                case ("abort",):
                    assert carrier is not None
                    carrier.abort()
                    done = []
                    line.send(("aborted",))
                case ("end",):
                    return
            if done:
                break
        assert carrier is not None
        if carrier.is_busy:
            done += carrier.step()
        if done:
            line.send(("done", done))


def own_devices(settings: Inference, visible: str | None) -> list[dict[str, str]]:
    """For each engine the environment that gives it its cards: as many as share one model, in the order of `visible`, what this
    job may see (`CUDA_VISIBLE_DEVICES`; None: all). Raises UserError where there are too few."""
    engines, width = settings.data_parallel, settings.tensor_parallel
    if settings.device == "cpu":
        return [{}] * engines
    cards = visible.split(",") if visible else [str(card) for card in range(engines * width)]
    if len(cards) < engines * width:
        raise UserError(
            f"inference.data_parallel {engines} times inference.tensor_parallel {width} needs {engines * width} GPUs, "
            f"and {len(cards)} are visible: lower inference.data_parallel"
        )
    return [
        {"CUDA_VISIBLE_DEVICES": ",".join(cards[number * width : (number + 1) * width])} for number in range(engines)
    ]
