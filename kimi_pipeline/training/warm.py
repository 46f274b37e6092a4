"""The warm process: it has imported the engines, and jobs are forks of it. `python -m kimi_pipeline.training.warm FD`.

Belongs here: importing and forking. Does not belong here: who asks for a job (`resources/warm.py`), what a job is
(`kimi_pipeline/jobs.py`).

Importing torch, DeepSpeed and vLLM takes more than most jobs of the laptop profile compute. Requests come as lines of JSON on
standard input, answers go to the file descriptor FD: `{"ready": true}` after the imports, then for each job `{"pid"}` when it
has begun and `{"code"}` when it has ended. One job at a time. For CPUs only: a fork can't use CUDA.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
import traceback
from collections.abc import Iterable
from typing import Any, NoReturn

from kimi_pipeline.inference.vllm_engine import import_quietly
from kimi_pipeline.jobs import die_with_parent
from kimi_pipeline.profiles import load_profile
from kimi_pipeline.training.runtime import prepare_process
from kimi_pipeline.training.tracking import OFFLINE

ENGINES = (
    "deepspeed",
    "transformers",
    "mlflow.tracking.client",
    "vllm.v1.worker.cpu_worker",
    "vllm.model_executor.models.llama",
)
"""What jobs import beside vLLM itself. Nothing here may start a computation: OpenMP's threads don't survive a fork."""


def main() -> None:
    die_with_parent()
    answers = int(sys.argv[1])
    prepare_process(load_profile().inference)
    os.environ.update(OFFLINE)
    import_quietly()
    for module in ENGINES:
        importlib.import_module(module)
    _tell(answers, {"ready": True})
    serve(sys.stdin, answers)


def serve(requests: Iterable[str], answers: int) -> None:
    """Run one job after the other until the requests end."""
    for line in requests:
        request = json.loads(line)
        stands, own = os.pipe()  # closes when the job leads its process group: before, none could be killed by it
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.close(answers)
            os.close(stands)
            os.close(own)
            _become(request["arguments"], request["environment"])
        os.close(own)
        os.read(stands, 1)
        os.close(stands)
        _tell(answers, {"pid": pid})
        _, status = os.waitpid(pid, 0)
        _tell(answers, {"code": os.waitstatus_to_exitcode(status)})


def _become(arguments: list[str], environment: dict[str, str]) -> NoReturn:
    """Be `python -m ARGUMENTS`, with this environment and nothing to read."""
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.update(environment)
        sys.argv = arguments
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _tell(answers: int, what: dict[str, Any]) -> None:
    os.write(answers, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
