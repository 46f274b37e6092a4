"""What an RL run is: the settings that its course depends on, the name of the policy that it trains.

Belongs here: which runs are one and the same, and which settings RL refuses. Does not belong here: the run (`loop.py`), what
of it is kept (`recovery.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.profiles import Profile
from kimi_pipeline.rl.prompt_sampling import Prompt
from kimi_pipeline.rl.recovery import contents


def course_of(spec: dict[str, Any], profile: Profile) -> dict[str, Any]:
    """All that a run's course depends on but the contents of its prompt set."""
    judge = spec.get("judge")
    judged_by = {"judge": [judge["digest"], profile.reward_models.model_dump()]} if judge else {}
    return judged_by | {
        "rl": profile.rl.course(),
        "template": profile.curation.template,
        "seed": profile.seed,
        "window": profile.model.window,
        "dtype": profile.model.dtype,
        "parent": spec["checkpoint"]["digest"],
        "code": spec.get("code", ""),
        "set": spec["prompt_set"]["name"],
    }


def policy_name(spec: dict[str, Any], profile: Profile, prompts: Sequence[Prompt]) -> str:
    """The name of the policy that this run trains: what its rollouts carry as checkpoint in the sample store.

    The weights of an iteration have no folder, but with the iteration this name says which they are. It covers what is in
    the prompt set, not its version: a saved run that goes on under another version of equal contents keeps its name.
    """
    return digest(["rl", course_of(spec, profile), contents(prompts)])


def check_settings(profile: Profile) -> None:
    """Raises UserError where settings of the profile do not go together in RL."""
    rl, inference = profile.rl, profile.inference
    if inference.carrier != "vllm":
        raise UserError("rl_checkpoint needs inference.carrier = 'vllm': an endpoint's weights can't be swapped")
    if rl.ranks % inference.tensor_parallel:
        raise UserError(
            f"rl.ranks is {rl.ranks}, and inference.tensor_parallel {inference.tensor_parallel} does not divide it"
        )
    if rl.sleep_level and inference.device == "cpu":
        raise UserError("rl.sleep_level gives GPU memory back: set it to 0 where inference.device is 'cpu'")
    if rl.offload_trainer and rl.zero_stage not in (1, 2):
        raise UserError(f"rl.offload_trainer needs rl.zero_stage 1 or 2, it is {rl.zero_stage}: change one of them")
    if rl.temperature <= 0:
        raise UserError("rl.temperature is 0: k greedy responses are one; set it above 0, usually to 1")
