"""Which problems an iteration trains on [2.3.4].

The map: prompts.py are the prompts of a set; uniform.py, curriculum.py and prioritized.py the three ways to choose among
them; success_rates.py what is known of each problem's success rate; sampler.py puts one way and the rates together.
Nothing here knows of rollouts, models or ranks: a draw depends on the seed, the settings and what was observed alone, so
that every rank that saw the same draws the same.
"""

from kimi_pipeline.rl.prompt_sampling.curriculum import CurriculumSampler
from kimi_pipeline.rl.prompt_sampling.prioritized import PrioritizedSampler
from kimi_pipeline.rl.prompt_sampling.prompts import Prompt, read_prompts
from kimi_pipeline.rl.prompt_sampling.sampler import PromptSampler, prompt_sampler
from kimi_pipeline.rl.prompt_sampling.success_rates import SuccessRate, SuccessRates
from kimi_pipeline.rl.prompt_sampling.uniform import UniformSampler

__all__ = [
    "CurriculumSampler",
    "PrioritizedSampler",
    "Prompt",
    "PromptSampler",
    "SuccessRate",
    "SuccessRates",
    "UniformSampler",
    "prompt_sampler",
    "read_prompts",
]
