"""Run in a process of its own by test_replicas.py: two engines as forks of a process that has no threads yet.

`python -m tests.inference.replicas_probe FILE`: FILE names two model folders as JSON, and gets an object with the tokens of every
answer by its case. Then the process waits to be killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

from kimi_pipeline.errors import UserError
from kimi_pipeline.files import write_whole
from kimi_pipeline.inference.replicas import Replicas
from kimi_pipeline.inference.request import Completion, SampleRequest, Sampling
from kimi_pipeline.profiles import load_profile

WINDOW = 256
CHANGES = {
    "inference.data_parallel": 2,
    "inference.threads": 1,
    "inference.max_num_seqs": 8,
    "inference.kv_cache_gib": 0.25,
    "model.window": WINDOW,
}


def requests(count: int, *, first: int = 0, max_tokens: int = 40) -> list[SampleRequest]:
    sampling = Sampling(1.0, max_tokens)
    return [
        SampleRequest(f"p{number}", "difficulty", "c", "tiny-reasoning@1", f"What is {number}?", sampling, 0, 0, "c")
        for number in range(first, first + count)
    ]


def tokens(completions: Any) -> dict[str, list[int]]:
    found: dict[str, Completion] = {one.request.problem_id: one for one in completions}
    return {name: list(found[name].token_ids) for name in sorted(found)}


def main(file: Path) -> None:
    first, second = map(Path, json.loads(file.read_text()))
    engines = Replicas(load_profile("smoke", CHANGES))
    found: dict[str, Any] = {"processes": [one.pid for one in engines.replicas]}

    def say(**what: Any) -> None:
        found.update(what)

    say(many=tokens(engines.serving(first).generate(requests(80))))
    early = engines.generate(requests(80, first=100))
    stopped = [next(early).request.problem_id]
    early.close()
    say(stopped=stopped, after_a_stop=tokens(engines.generate(requests(3))))
    too_long = requests(1, first=200, max_tokens=WINDOW)
    answers = list(engines.generate([*too_long, *requests(2)]))
    say(
        errors=[one.error for one in answers if one.error],
        beside_an_error=tokens(one for one in answers if not one.error),
    )
    say(swapped=tokens(engines.serving(second).generate(requests(4))))
    try:
        engines.serving(Path("/no/such/model"))
    except UserError as error:
        say(refused=str(error))
    say(after_a_refusal=tokens(engines.serving(second).generate(requests(4))))
    under_way = engines.generate(requests(80))
    say(before_a_death=[one.request.problem_id for one in islice(under_way, 1)])
    os.kill(engines.replicas[0].pid, signal.SIGKILL)
    try:
        list(under_way)
    except RuntimeError as error:
        say(death=str(error))
    write_whole(file, json.dumps(found))
    time.sleep(600)


if __name__ == "__main__":
    main(Path(sys.argv[-1]))
