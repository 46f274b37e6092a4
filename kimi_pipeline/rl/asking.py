"""The judges of an RL run, opened: rules alone, or the composite reward with all that it asks; the watch's own.

Belongs here: starting what a reward needs (a Chain-of-Thought RM's process, a sandbox) for as long as the run lasts. Does
not belong here: any rule, when groups are judged (`judging.py`), shapings (`rewards/composite.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles import Profile
from kimi_pipeline.reward_models.service import JudgeProcess
from kimi_pipeline.rewards.by_kind import CompositeReward
from kimi_pipeline.rewards.contract import Reward
from kimi_pipeline.rewards.math_rules import MathReward
from kimi_pipeline.rewards.own_judges import own_judges
from kimi_pipeline.rewards.serving import code_reward, reward_for
from kimi_pipeline.rl.prompt_sampling import Prompt
from kimi_pipeline.rl.reward_watch import ByReward, BySecondOpinion, ByTheOther, IndependentJudge


def reward_judge(
    spec: dict[str, Any], profile: Profile, home: Home, prompts: Sequence[Prompt], stack: ExitStack
) -> Reward:
    """The reward under `rl.reward`; `stack` closes what it started. Raises UserError where the judge refuses to serve, and
    where the set holds coding problems and no sandbox works."""
    lake, references = Lake(home.lake), [prompt.reference for prompt in prompts]
    if profile.rl.reward != "composite":
        return stack.enter_context(reward_for(profile, lake, references))
    judge = spec.get("judge")
    if not judge:
        raise UserError("rl.reward = composite asks a Chain-of-Thought RM: materialise cot_reward_model first")
    second = _serving(judge, profile, stack)
    questions = {prompt.problem_id: prompt.prompt for prompt in prompts}
    code = code_reward(profile, lake, references, stack)
    return CompositeReward(MathReward(), second, questions, code, own_judges(lake, references))


def independent_judge(
    spec: dict[str, Any], profile: Profile, reward: Reward, stack: ExitStack
) -> IndependentJudge | None:
    """Whom the watch over the reward asks; None where there is nobody. A composite reward has two judges, so there is always
    one that did not decide; beside rules, the Chain-of-Thought RM under `rl.watch_judge`; nobody beside the control."""
    if isinstance(reward, CompositeReward) and reward.second:
        return ByTheOther(ByReward(MathReward()), BySecondOpinion(reward.second))
    if profile.rl.watch_judge == "none" or profile.rl.reward == "random":
        return None
    judge = spec.get("watch_judge")
    if not judge:
        raise UserError("rl.watch_judge = cot_rm asks a Chain-of-Thought RM: materialise cot_reward_model first")
    return BySecondOpinion(_serving(judge, profile, stack))


def _serving(judge: dict[str, Any], profile: Profile, stack: ExitStack) -> JudgeProcess:
    """The Chain-of-Thought RM of a spec, serving until `stack` closes it. Raises UserError where it does not serve."""
    process = JudgeProcess(
        Path(judge["folder"]), judge["digest"], profile, profile.rl.reward_seconds, judge.get("module")
    )
    stack.callback(process.close)
    process.start()
    return process
