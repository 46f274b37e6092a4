"""The endpoint carrier against a gateway that fails on purpose: every sample once, none paid twice, clear refusals."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.errors import UserError
from kimi_pipeline.inference.endpoint_carrier import EndpointCarrier
from kimi_pipeline.inference.endpoint_protocol import Again, Refused, read_answer, retry_after
from kimi_pipeline.inference.request import Completion, SampleRequest, Sampling
from kimi_pipeline.profiles.sections import Inference
from tests.inference.faulty_gateway import FAULTS, Gateway, by_turns, completion


def requests(count: int, purpose: str = "difficulty") -> list[SampleRequest]:
    sampling = Sampling(1.0, 64)
    return [
        SampleRequest(f"p{i}", purpose, "model", "chat-reasoning@1", f"problem {i}", sampling, 0, 7, "model")
        for i in range(count)
    ]


def settings(url: str, **changes: Any) -> Inference:
    values = {
        "carrier": "endpoint",
        "endpoint_url": url,
        "endpoint_model": "m",
        "endpoint_timeout_s": 10,
        "endpoint_retries": 6,
    }
    return Inference(**(values | changes))


def ask(gateway: Gateway, asked: list[SampleRequest], **changes: Any) -> list[Completion]:
    return list(EndpointCarrier(settings(gateway.url, **changes), first_wait=0.01).generate(iter(asked)))


@pytest.mark.parametrize("fault", [*FAULTS, None])
def test_each_fault_costs_a_try_and_no_sample(fault: str | None) -> None:
    asked = requests(40)
    with Gateway(faults=lambda key, attempt: fault if attempt == 0 else None) as gateway:
        answers = ask(gateway, asked)
    assert sorted(answer.request.problem_id for answer in answers) == sorted(request.problem_id for request in asked)
    assert all(answer.text.startswith(answer.request.user_message + " ") for answer in answers)
    assert set(gateway.bills.values()) == {1}
    again = fault not in (None, "double", "double_body")
    assert all(tries == 1 + again for tries in gateway.tries.values())


def test_all_faults_together_lose_nothing_and_pay_once() -> None:
    asked = requests(300)
    with Gateway(faults=by_turns(*FAULTS, None)) as gateway:
        answers = ask(gateway, asked, price_per_million_tokens=2_000_000)
    assert len(answers) == len({answer.request.sample_id for answer in answers}) == 300
    assert all(answer.finish_reason == "stop" for answer in answers)
    assert all(answer.text.startswith(answer.request.user_message + " ") for answer in answers)
    assert gateway.bills == {request.sample_id: 1 for request in asked}
    assert set(gateway.injected) == set(FAULTS)
    assert sum(answer.cost for answer in answers) == pytest.approx(300 * 7 * 2.0)


def test_what_is_sent() -> None:
    asked = requests(3)
    with Gateway() as gateway:
        ask(gateway, asked)
    for request in asked:
        body = gateway.bodies[request.sample_id]
        assert body["seed"] == request.seed
        assert body["messages"] == [{"role": "user", "content": request.user_message}]
        assert (body["temperature"], body["top_p"], body["max_tokens"], body["n"]) == (1.0, 1.0, 64, 1)
    assert all(headers["X-Request-Id"] == headers["Idempotency-Key"] for headers in gateway.headers)


def test_concurrency_is_kept_to() -> None:
    with Gateway(seconds=0.02) as gateway:
        ask(gateway, requests(40), endpoint_concurrency=5)
    assert 2 <= gateway.most_at_once <= 5


def test_answers_come_as_they_finish() -> None:
    """The first answer is there long before the last request is even read."""
    read: list[int] = []

    def stream() -> Any:
        for number, request in enumerate(requests(60)):
            read.append(number)
            yield request

    with Gateway(seconds=0.02) as gateway:
        carrier = EndpointCarrier(settings(gateway.url, endpoint_concurrency=4))
        generator = carrier.generate(stream())
        next(generator)
        assert len(read) < 30
        generator.close()
        time.sleep(0.1)
        assert len(read) < 40  # closing stops the asking


def test_one_hopeless_request_is_excluded_and_the_rest_go_on() -> None:
    asked = requests(30)
    bad = asked[3].sample_id
    with Gateway(faults=lambda key, attempt: "503" if key == bad else None) as gateway:
        answers = ask(gateway, asked, endpoint_retries=2, endpoint_concurrency=4)
    failures = [answer for answer in answers if answer.finish_reason == "error"]
    assert [(answer.request.sample_id, answer.retryable) for answer in failures] == [(bad, True)]
    assert failures[0].error is not None
    assert failures[0].error.startswith("http_503")
    assert len(answers) == 30
    assert gateway.tries[bad] == 3


def test_an_endpoint_that_is_down_stops_the_run() -> None:
    with (
        Gateway(faults=lambda key, attempt: "503") as gateway,
        pytest.raises(UserError, match=r"does not answer.*http_503"),
    ):
        ask(gateway, requests(200), endpoint_retries=1, endpoint_concurrency=4)
    assert len(gateway.tries) < 20
    with pytest.raises(UserError, match=r"does not answer.*no_connection"):
        list(
            EndpointCarrier(settings("http://127.0.0.1:9/v1", endpoint_retries=1), first_wait=0.01).generate(
                requests(1)
            )
        )


def test_a_slow_answer_is_asked_again() -> None:
    slow = threading.Event()

    def upstream(body: dict[str, Any], key: str) -> dict[str, Any]:
        if not slow.is_set():
            slow.set()
            time.sleep(1.0)
        return completion("late", key)

    with Gateway(upstream=upstream) as gateway:
        answers = ask(gateway, requests(1), endpoint_timeout_s=0.4)
    assert [answer.text for answer in answers] == ["late"]
    assert set(gateway.bills.values()) == {1}


def test_an_answer_cut_by_the_endpoints_window_has_no_verdict() -> None:
    with Gateway(upstream=lambda body, key: completion("cut", key, "length", tokens=63)) as gateway:
        (answer,) = ask(gateway, requests(1), price_per_million_tokens=1)
    assert (answer.finish_reason, answer.retryable, answer.completion_tokens) == ("error", False, 63)
    assert answer.cost > 0
    with Gateway(upstream=lambda body, key: completion("cut", key, "length", tokens=64)) as gateway:
        (answer,) = ask(gateway, requests(1))
    assert answer.finish_reason == "length"


def refusing(status: int, body: Any, content_type: str = "application/json") -> httpx.Response:
    content = body if isinstance(body, str) else json.dumps(body)
    return httpx.Response(status, text=content, headers={"Content-Type": content_type})


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (refusing(401, {"error": {"message": "bad key"}}), "refuses the key.*inference.endpoint_key_env"),
        (
            refusing(404, {"error": {"message": "The model `x` does not exist."}}),
            "no model 'm'.*inference.endpoint_model",
        ),
        (refusing(404, {"detail": "Not Found"}), "nothing answers at.*inference.endpoint_url"),
        (refusing(200, "<!doctype html><p>Welcome"), "web page.*/v1"),
        (refusing(302, ""), "nothing answers"),
        (refusing(429, {"error": {"code": "insufficient_quota", "message": "pay"}}), "no budget"),
        (refusing(200, {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}), "usage"),
    ],
)
def test_what_stops_the_run_names_the_setting(response: httpx.Response, words: str) -> None:
    with pytest.raises(UserError, match=words) as error:
        read_answer(response, requests(1)[0], settings("http://h/v1"), set())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (refusing(400, {"error": {"code": "context_length_exceeded", "message": "too long"}}), "prompt_too_long"),
        (refusing(400, {"message": "This model's maximum context length is 256 tokens."}), "prompt_too_long"),
        (refusing(413, ""), "prompt_too_long"),
        (refusing(400, {"error": {"code": "content_filter", "message": "no"}}), "content_filter"),
        (refusing(200, completion("", "k", "content_filter")), "content_filter"),
    ],
)
def test_what_the_endpoint_will_never_answer_is_final(response: httpx.Response, code: str) -> None:
    with pytest.raises(Refused, match=f"^{code}:"):
        read_answer(response, requests(1)[0], settings("http://h/v1"), set())


def test_an_unknown_refusal_is_not_stored_for_good() -> None:
    for response in (
        refusing(400, {"error": {"message": "unsupported parameter: seed"}}),
        refusing(200, "{"),
        refusing(200, "[]"),
    ):
        with pytest.raises(Again):
            read_answer(response, requests(1)[0], settings("http://h/v1"), set())


def test_an_answer_to_another_request_is_not_taken() -> None:
    mine, other = requests(2)
    response = refusing(200, completion("x", other.sample_id))
    with pytest.raises(Again, match="wrong_answer"):
        read_answer(response, mine, settings("http://h/v1"), {mine.sample_id, other.sample_id})
    # An id that is nobody's of ours (many servers answer with a random one) is no reason for doubt.
    assert read_answer(response, mine, settings("http://h/v1"), {mine.sample_id}).text == "x"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"endpoint_url": None}, "inference.endpoint_url is empty"),
        ({"endpoint_url": "localhost:8000/v1"}, "write it as http"),
        ({"endpoint_url": "http://user:secret@h/v1"}, "endpoint_key_env"),
        ({"endpoint_model": None}, "inference.endpoint_model is empty"),
        ({"endpoint_key_env": "NO_SUCH_KEY_HERE"}, "export NO_SUCH_KEY_HERE"),
    ],
)
def test_settings_that_cannot_work(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words) as error:
        EndpointCarrier(settings("http://h/v1", **changes))
    assert "secret" not in str(error.value)


def test_the_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")

    def repeats_the_key(body: dict[str, Any], key: str) -> dict[str, Any]:
        return {"error": {"message": "bad key sk-very-secret"}}

    with Gateway(upstream=repeats_the_key) as gateway, pytest.raises(UserError, match=r"\*\*\*") as error:
        ask(gateway, requests(1), endpoint_key_env="MY_KEY", endpoint_retries=0)
    assert gateway.headers[0]["Authorization"] == "Bearer sk-very-secret"
    assert "very-secret" not in str(error.value)


def test_a_request_that_continues_tokens_is_refused_as_a_defect() -> None:
    request = SampleRequest("p", "rollout", "c", "t", "m", Sampling(1, 8), 0, 0, "iteration:1", 1, 1, (1, 2))
    with Gateway() as gateway, pytest.raises(ValueError, match="vLLM carrier"):
        ask(gateway, [request])


def test_retry_after() -> None:
    assert retry_after("3") == 3.0
    assert retry_after("-1") == 0.0
    assert retry_after(None) is None
    assert retry_after("soon") is None
    assert 8 < (retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=10))) or 0) <= 10


@given(st.integers(0, 20), st.none() | st.floats(0, 1e6))
def test_pauses_are_bounded_and_grow(attempt: int, asked: float | None) -> None:
    pause: Callable[[int, float | None], float] = EndpointCarrier(settings("http://h/v1"))._pause
    waits = [pause(attempt, asked) for _ in range(20)]
    assert all(0 <= wait <= 60 for wait in waits)
    if asked is None:
        assert min(waits) >= min(0.25 * 2**attempt, 60)
    else:
        assert min(waits) >= min(asked, 60)


def test_a_defect_in_the_requests_is_raised_here() -> None:
    def broken() -> Any:
        yield from itertools.islice(requests(9), 3)
        raise RuntimeError("the plan broke")

    with Gateway() as gateway, pytest.raises(RuntimeError, match="the plan broke"):
        list(EndpointCarrier(settings(gateway.url)).generate(broken()))
