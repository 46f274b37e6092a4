"""A training process and its ranks: environment before torch is imported, process group after.

Belongs here: DeepSpeed's and OpenMP's environment, ranks, collectives on small Python values. Does not belong here: the
model and the optimizer (`engine.py`), vLLM's arguments (`inference/vllm_engine.py`).

A job that was started as plain Python is one rank of one; DeepSpeed's launcher or torchrun say otherwise.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kimi_pipeline.errors import UserError
from kimi_pipeline.inference.vllm_engine import prepare_environment
from kimi_pipeline.jobs import free_port
from kimi_pipeline.profiles.sections import Inference

if TYPE_CHECKING:
    import torch

QUIET = ("DeepSpeed", "transformers", "vllm", "torch.distributed", "mlflow", "alembic")


def prepare_process(settings: Inference) -> None:
    """Set the environment of a training process. Call it before torch, DeepSpeed or vLLM are imported."""
    prepare_environment(settings, ranks=int(os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("WORLD_SIZE", "1"))))
    os.environ.setdefault("DS_ACCELERATOR", settings.device)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)


@dataclass(frozen=True)
class Ranks:
    """This process among its peers. `device` is where its tensors live. Rank 0 is the report's master [2.6]."""

    rank: int
    size: int
    local_rank: int
    device: torch.device

    @property
    def is_master(self) -> bool:
        return self.rank == 0

    def sum(self, values: Sequence[float]) -> list[float]:
        """The element-wise sum over all ranks (float64)."""
        return self._reduce(values, "SUM")

    def max(self, values: Sequence[float]) -> list[float]:
        """The element-wise maximum over all ranks."""
        return self._reduce(values, "MAX")

    def gather(self, value: Any) -> list[Any] | None:
        """Every rank's value, in rank order, on rank 0; None elsewhere."""
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        found: list[Any] | None = [None] * self.size if self.is_master else None
        dist.gather_object(value, found, dst=0)
        return found

    def exchange(self, value: Any) -> list[Any]:
        """Every rank's value, in rank order, on every rank."""
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value)
        return found

    def share(self, value: Any) -> Any:
        """Rank 0's value, on every rank."""
        if self.size == 1:
            return value
        import torch.distributed as dist

        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def barrier(self) -> None:
        if self.size > 1:
            import torch.distributed as dist

            dist.barrier()

    def _reduce(self, values: Sequence[float], operation: str) -> list[float]:
        if self.size == 1:
            return [float(value) for value in values]
        import torch
        import torch.distributed as dist

        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor, op=getattr(dist.ReduceOp, operation))
        return [float(value) for value in tensor.tolist()]


def init_distributed(device: str = "cpu", threads: int = 2) -> Ranks:
    """Start (or join) the process group: gloo on a CPU, nccl on CUDA. `threads` are this machine's, shared by its ranks.

    Raises UserError where the profile asks for CUDA and there is none.
    """
    defaults = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    rank, size, local_rank = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    if size == 1:  # nobody else has to find it, and one that was inherited may be taken
        os.environ["MASTER_PORT"] = str(free_port())

    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("inference.device = 'cuda', but no CUDA device is visible: set inference.device to 'cpu'")
    import deepspeed
    import deepspeed.comm

    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)  # its import sets a level of its own
    # Otherwise the first init_process_group compiles a shared-memory collective for minutes, behind a lock that a
    # killed compile leaves behind for ever. Gloo does the same work.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    if device == "cuda":
        torch.cuda.set_device(local_rank)
    elif torch.get_num_threads() != max(1, threads // size):
        torch.set_num_threads(max(1, threads // size))
    if not deepspeed.comm.is_initialized():
        deepspeed.init_distributed("nccl" if device == "cuda" else "gloo", verbose=False, auto_mpi_discovery=False)
    place = torch.device(f"cuda:{local_rank}") if device == "cuda" else torch.device("cpu")
    return Ranks(rank, size, local_rank, place)


def memory_of(device: torch.device) -> Callable[[], float] | None:
    """Tells how much of a GPU's memory is in use, by whoever, in GiB; None on a CPU. What torch has freed and keeps for
    itself counts as used: after a phase it is that phase's peak."""
    if device.type != "cuda":
        return None
    import torch

    def used() -> float:
        free, total = torch.cuda.mem_get_info(device)
        return (total - free) / 2**30

    return used
