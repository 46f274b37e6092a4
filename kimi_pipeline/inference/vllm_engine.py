"""The one place that knows how vLLM is started in-process, on a CPU or a GPU.

Belongs here: vLLM's environment variables and engine arguments. Does not belong here: requests and answers
(`vllm_carrier.py`, `rl/rollout.py`), weight swaps (`rl/handover.py`).

vLLM reads its environment when it is imported, so nothing else in the project imports it before `build_llm` was called.
"""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kimi_pipeline.profiles.sections import Inference

if TYPE_CHECKING:
    from vllm import LLM

CPU_BATCH_TOKENS = 8192  # tokens that prompts and decoding take in one step
SHARED_MEMORY = "-tp:*-cpushm_*"  # names of what tensor-parallel ranks on CPUs share
CPU_BLOCK = 32  # tokens of a key-value cache block; the CPU attention kernels are written for multiples of 32


def prepare_environment(settings: Inference, *, ranks: int = 1) -> None:
    """Set what vLLM and OpenMP read from the environment. A variable that is set already is left as it is.

    OpenMP reads its part when torch is imported: call this before. `ranks` is the number of processes on this machine
    that share its CPU threads.
    """
    values = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # in-process: weights can be swapped, tokens read without copies
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_DO_NOT_TRACK": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "true",
    }
    if settings.device == "cpu":
        threads = max(1, settings.threads // ranks)
        values |= {
            "VLLM_TARGET_DEVICE": "cpu",
            # Binding takes one logical CPU a core and would bind the trainer of the same process with it.
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "OMP_NUM_THREADS": str(threads),
            # Threads that spin at barriers made decoding ten times slower as soon as another process wanted a core.
            "OMP_WAIT_POLICY": "passive",
            # Nothing is compiled here but one small count behind log-probs, which is as fast without, and takes seconds.
            "TORCH_COMPILE_DISABLE": "1",
        }
    for name, value in values.items():
        os.environ.setdefault(name, value)


def build_llm(
    folder: Path,
    settings: Inference,
    *,
    dtype: str,
    window: int,
    seed: int = 0,
    ranks: int = 1,
    colocated: bool = False,
    dummy_weights: bool = False,
    processed_logprobs: bool = False,
    sleeps: bool = False,
    **arguments: Any,
) -> LLM:
    """An in-process vLLM engine for the model folder; `window` is the longest sequence in tokens.

    `colocated`: the engine joins the process group of a running SPMD job (one engine a rank, or one over
    `tensor_parallel` ranks). `dummy_weights`: allocate without reading weights, they are handed over later.
    `processed_logprobs`: log-probs of the distribution that was sampled from (after temperature), not of the raw logits.
    `sleeps`: the engine can give its GPU memory back for a while.
    """
    prepare_environment(settings, ranks=ranks)
    LLM = import_quietly()
    values: dict[str, Any] = {
        "model": str(folder),
        "dtype": dtype,
        "max_model_len": window,
        "max_num_seqs": settings.max_num_seqs,
        "tensor_parallel_size": settings.tensor_parallel,
        "seed": seed,
        "enable_prefix_caching": True,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        "logprobs_mode": "processed_logprobs" if processed_logprobs else "raw_logprobs",
        "load_format": "dummy" if dummy_weights else "auto",
        # White space between the parts of an object is allowed by default, and a weak model writes little else. (A request's
        # own disable_any_whitespace is read by nobody; the engine's needs a backend by name.)
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
    }
    if settings.device == "cpu":
        # The environment variable VLLM_CPU_KVCACHE_SPACE takes whole GiB alone, and would win over this one.
        cache = int(settings.kv_cache_gib * 2**30)
        values |= {"enforce_eager": True, "block_size": CPU_BLOCK, "kv_cache_memory_bytes": cache}
        # A prompt that is cut to fill a batch ("chunked prefill") discards a draw and then rewinds the request's random
        # generator, which CPU generators can't do: with a seed a request, vLLM would stop with an error.
        values |= {"enable_chunked_prefill": False, "max_num_batched_tokens": max(CPU_BATCH_TOKENS, window)}
    else:
        values["gpu_memory_utilization"] = settings.gpu_memory_share
    if sleeps:
        values["enable_sleep_mode"] = True
    if colocated:
        values["distributed_executor_backend"] = "external_launcher"
    return LLM(**(values | arguments))


def clear_shared_memory(folder: Path = Path("/dev/shm"), processes: Path = Path("/proc")) -> list[str]:
    """Remove shared memory of tensor-parallel engines on CPUs that nobody maps any more; returns what was removed.

    vLLM names it by place, not by process: what a killed engine left behind stops the next one ("errno: 17"). One process
    of a machine calls it, before the engines of a job start; what belongs to others, or is in use, stays.
    """
    left = [path for path in folder.glob(SHARED_MEMORY) if path.stat().st_uid == os.getuid()]
    if not left:
        return []
    used = set()
    for maps in processes.glob("[0-9]*/maps"):
        try:
            used |= {line.rpartition("/")[2] for line in maps.read_text().splitlines() if str(folder) in line}
        except OSError:  # gone, or another user's
            continue
    removed = [path for path in left if path.name not in used]
    for path in removed:
        path.unlink(missing_ok=True)
    return [path.name for path in removed]


def import_quietly() -> type[LLM]:
    """vLLM's class, imported without the notes that it and torch make about parts that nobody uses here."""
    logging.getLogger("vllm").setLevel(logging.ERROR)  # before vLLM configures its logging by VLLM_LOGGING_LEVEL
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"vllm\.")
    from vllm import LLM

    return LLM
