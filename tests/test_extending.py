"""docs/extending.md is true: its blocks are taken from the page, put in their place, and held against the tests they name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

import sandbox
from kimi_pipeline.corpora.evaluation_sets import EVALUATION_PROBLEMS
from kimi_pipeline.corpora.families import items, registry
from kimi_pipeline.corpora.families.base import Family
from kimi_pipeline.corpora.ingest import CORPUS
from kimi_pipeline.home import CHECKOUT
from kimi_pipeline.rewards import own_judges
from kimi_pipeline.rewards.contract import Reference, Response, Status
from kimi_pipeline.rewards.serving import reward_for
from kimi_pipeline.rl.prompt_sampling import Prompt, SuccessRates
from kimi_pipeline.rl.prompt_sampling.sampler import PromptSampler, Strategy
from kimi_pipeline.stages import Context
from sandbox import languages
from tests.conftest import missing
from tests.corpora import test_families

PAGE = CHECKOUT / "docs" / "extending.md"
LONGEST = 50


def block(place: str) -> str:
    """The block of the page whose first line names this file."""
    found: dict[str, str] = {}
    for text in re.findall(r"^```\w+\n# ([^\n]+\n.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        name, _, body = text.partition("\n")
        found[name] = body
    assert len(found[place].splitlines()) < LONGEST
    return found[place]


def defined(place: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": Path(place).stem}
    exec(compile(block(place), place, "exec", dont_inherit=True), names)
    return names


def test_a_family_keeps_what_is_promised_of_every_family() -> None:
    family: Family = defined("kimi_pipeline/corpora/families/digit_sum.py")["DIGIT_SUM"]
    for seed in range(50):
        test_families.test_a_clean_solution_ends_in_the_answer.hypothesis.inner_test(family, seed)
    test_families.test_noise_makes_some_answers_wrong_and_zero_noise_uses_no_randomness(family)
    test_families.test_the_two_sides_never_share_an_item_in_any_wording(family)
    test_families.test_problems_are_a_function_of_the_seed_and_a_prefix_of_more(family)
    one = items(0, family, 1, False, 0.2)[0]
    assert int(one.answer) == sum(int(digit) for digit in one.start)
    assert family.solution(one, Random(0)).endswith(f"\\boxed{{{one.answer}}}")
    names: dict[str, Any] = {"__file__": registry.__file__, "DIGIT_SUM": family}
    exec(Path(registry.__file__).read_text().replace("= (REGISTER,", "= (DIGIT_SUM, REGISTER,"), names)
    assert names["DEFAULT_WEIGHTS"]["digit_sum"] == names["WEIGHTS"]["register"]
    assert names["to_evaluate"](names["chosen"](["digit_sum"]).values()) == (family,)


def test_a_changed_family_recomputes_what_is_drawn_from_families() -> None:
    known = {f"kimi_pipeline.corpora.families.{name}" for name in ("queue", "steps", "planted", "registry")}
    for stage in (CORPUS, EVALUATION_PROBLEMS):
        assert known < set(stage.code)


def test_a_reward_judges_the_problems_of_its_kind(
    make_context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    date_reward = defined("kimi_pipeline/rewards/date.py")["DateReward"]
    monkeypatch.setitem(own_judges.JUDGES, "date", lambda lake, references: date_reward())
    context = make_context()
    reference = Reference("moon", "1969-07-20", "date")
    texts = ["\\boxed{20 July 1969}", "\\boxed{July 21, 1969}", "\\boxed{soon}", "so I do not know"]
    with reward_for(context.profile, context.lake, [reference]) as reward:
        found = reward.score(reference, [Response(text, 9) for text in texts])
    assert [one.reward for one in found] == [1.0, 0.0, 0.0, 0.0]
    assert found[3].status is Status.NO_ANSWER
    assert "date@1" in reward.version


def test_a_language_is_a_table(tmp_path: Path) -> None:
    table = tmp_path / "languages.toml"
    table.write_text(block("sandbox/languages.toml"))
    try:
        opened = sandbox.open("auto", table=languages.load(table))
    except sandbox.BackendUnavailable as error:
        missing(str(error))
    program = "my $n = <STDIN>; print $n * 2, qq{\\n};"
    with opened:
        found = list(opened.run(program, "perl", [b"21\n", b"4\n"]))
    assert [(one.outcome, one.stdout) for one in found] == [("ok", b"42\n"), ("ok", b"8\n")]


def test_a_strategy_gives_distinct_prompts_and_restores_its_state() -> None:
    hardest_first = defined("kimi_pipeline/rl/prompt_sampling/hardest.py")["HardestFirst"]
    prompts = [Prompt(f"p{n}", Reference(f"p{n}", "1", "integer"), pass_rate=n / 10) for n in range(6)]

    def sampler() -> PromptSampler:
        strategy: Strategy = hardest_first(prompts)
        return PromptSampler("hardest", strategy, SuccessRates(prompts, 10.0, 0.5))

    one, other = sampler(), sampler()
    assert [prompt.problem_id for prompt in one.draw(2)] == ["p0", "p1"]
    assert [prompt.problem_id for prompt in one.draw(3, busy={"p2"})] == ["p3", "p4", "p5"]
    other.restore(one.state())
    assert one.draw(4) == other.draw(4)
    assert len({prompt.problem_id for prompt in one.draw(99)}) == len(prompts)


@pytest.mark.parametrize(
    "place", ["kimi_pipeline/corpora/families", "kimi_pipeline/rl/prompt_sampling", "sandbox/languages.toml"]
)
def test_the_places_that_the_page_names_are_there(place: str) -> None:
    assert place in PAGE.read_text()
    assert (CHECKOUT / place).exists()
