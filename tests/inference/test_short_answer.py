"""Guesses that are held to a short answer: the form, on both carriers."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.inference.endpoint_protocol import payload
from kimi_pipeline.inference.plans import Ask, AskedProblem
from kimi_pipeline.inference.request import Completion, Sampling
from kimi_pipeline.inference.short_answer import BRACED, FRAME_TOKENS, LEAST_HEAD, as_response, longest, pattern
from kimi_pipeline.inference.store import judge
from kimi_pipeline.rewards.contract import Reference, Status
from kimi_pipeline.rewards.math_rules import MathReward

ASK = Ask("guess", "c", "tiny", "guess", Sampling(1.0, 24), samples=8, run_seed=0, constrained=True)


def problems(count: int) -> list[AskedProblem]:
    return [AskedProblem(f"p{n}", f"What is {n}?", Reference(f"p{n}", str(n), "integer")) for n in range(count)]


@pytest.mark.parametrize("answer", ["7", "-3.5", "\\frac{1}{2}", "三角形", "(1, 2)", "x^2 + 1", "3\\sqrt{2}"])
def test_answers_fit_the_form(answer: str) -> None:
    assert re.fullmatch(pattern(40), f"\\boxed{{{answer}}}")


@pytest.mark.parametrize("text", ["7", "Let me think. \\boxed{7}", "\\boxed{}", "\\boxed{7}.", "\\boxed{a\nb}"])
def test_reasoning_does_not(text: str) -> None:
    assert not re.fullmatch(pattern(40), text)


@given(st.integers(1, 300), st.text("a1\\{}", max_size=60))
def test_what_fits_is_short(max_tokens: int, answer: str) -> None:
    if re.fullmatch(pattern(max_tokens), f"\\boxed{{{answer}}}"):
        assert len(answer) <= max(longest(max_tokens), LEAST_HEAD + BRACED)
        assert max_tokens < LEAST_HEAD + BRACED + FRAME_TOKENS or len(answer) + FRAME_TOKENS <= max_tokens


def test_an_endpoint_is_asked_for_an_object_and_its_answer_is_read() -> None:
    (problem,) = problems(1)
    request = ASK.request(problem, 0)
    assert request.template == "tiny-guess@1+short"
    assert payload(request, "m")["response_format"]["json_schema"]["schema"]["required"] == ["answer"]
    plain = Ask("guess", "c", "tiny", "guess", Sampling(1.0, 24), samples=8, run_seed=0).request(problem, 0)
    assert "response_format" not in payload(plain, "m")
    assert plain.sample_id != request.sample_id
    verdict = judge(Completion(request, '{"answer": "0"}', "stop", 1, 5), problem.reference, MathReward())
    assert (verdict.status, verdict.extracted_answer) == (Status.CORRECT, "0")


def test_other_texts_stay_as_they_are() -> None:
    assert as_response('{"answer": "\\\\boxed{3}"}') == "\\boxed{3}"
    for text in ("", "7", "[1]", '{"answer": 7}', '{"other": "7"}', '{"answer": "7'):
        assert as_response(text) == text


@pytest.mark.slow
def test_an_untrained_model_guesses_in_the_form(carrier: Any) -> None:
    """Random weights write anything; held to the form, every guess is a whole box and none is cut."""
    requests = [ASK.request(problem, 0) for problem in problems(32)]
    completions = list(carrier.generate(requests))
    assert len(completions) == 32
    assert {one.finish_reason for one in completions} == {"stop"}
    assert all(re.fullmatch(pattern(24), one.text) for one in completions), [one.text for one in completions][:5]
