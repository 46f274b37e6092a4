"""The chat-completions protocol: what is sent to an endpoint and what its answers mean.

Belongs here: the address, the payload, reading an answer, which refusals are worth another try. Does not belong here:
connections and retries (`endpoint_carrier.py`).
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from kimi_pipeline.errors import UserError
from kimi_pipeline.inference.request import SampleRequest, Sampling
from kimi_pipeline.inference.short_answer import response_format
from kimi_pipeline.profiles.sections import Inference

PATH = "/chat/completions"
AGAIN = {408, 409, 425, 429}  # and all of 5xx
FINISH_REASONS = {"stop": "stop", "eos": "stop", "stop_sequence": "stop", "end_turn": "stop", "length": "length"}
TOO_LONG = re.compile(r"context[ _](length|window)|maximum (context|model|input) length|too (many tokens|long)", re.I)
NO_FORM = re.compile(r"response_format|json_schema|structured output", re.I)
FILTERED = re.compile(r"content[_ ](filter|policy)|safety", re.I)
MESSAGE_LENGTH = 200  # characters of an endpoint's own words that a message of ours repeats
_SAMPLE_ID = re.compile(r"[0-9a-f]{32}")


class Again(Exception):
    """This try failed, the next may not. `wait` is what the endpoint asked for, in seconds."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class Refused(Exception):
    """The endpoint will never answer this request (too long, filtered). The text is `code: what happened`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answered; tokens as it counted them."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


def endpoint_address(settings: Inference) -> str:
    """The address of the chat endpoint. Raises UserError where URL or model are missing or malformed."""
    base = (settings.endpoint_url or "").strip().rstrip("/")
    if not base:
        raise UserError("inference.endpoint_url is empty: set it to the endpoint's base URL (http://host:port/v1)")
    try:
        url = httpx.URL(base)
    except httpx.InvalidURL as error:
        raise UserError(f"inference.endpoint_url {base!r}: {error}; write it as http://host:port/v1") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise UserError(f"inference.endpoint_url {base!r} is no web address: write it as http://host:port/v1")
    if url.userinfo:
        raise UserError(
            "inference.endpoint_url holds a password: name a variable with it in inference.endpoint_key_env"
        )
    if not settings.endpoint_model:
        raise UserError("inference.endpoint_model is empty: set it to the model name that the endpoint serves")
    return base if base.endswith(PATH) else base + PATH


def is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def payload(request: SampleRequest, model: str) -> dict[str, Any]:
    """The request's body. Raises ValueError for a request that continues given tokens: a chat endpoint can't."""
    if request.prompt_token_ids is not None:
        raise ValueError("an endpoint can't continue exact tokens: rollouts need the vLLM carrier")
    form = _response_format(request.sampling)
    return ({"response_format": form} if form else {}) | {
        "model": model,
        "messages": [{"role": "user", "content": request.user_message}],
        "temperature": request.sampling.temperature,
        "top_p": request.sampling.top_p,
        "max_tokens": request.sampling.max_tokens,
        "seed": request.seed,
        "n": 1,
        "stream": False,
    }


def _response_format(sampling: Sampling) -> dict[str, Any] | None:
    if sampling.json_schema:
        schema = {"name": "answer", "strict": True, "schema": json.loads(sampling.json_schema)}
        return {"type": "json_schema", "json_schema": schema}
    return response_format(sampling.max_tokens) if sampling.short_answer else None


def read_answer(
    response: httpx.Response, request: SampleRequest, settings: Inference, asked: Collection[str]
) -> Answer:
    """The answer in a response to `request`. `asked` holds the sample ids of everything asked so far.

    Raises Again, Refused, or UserError where every request would fail alike (key, model, address).
    """
    if response.status_code != 200:
        raise _refusal(response, settings)
    document = _document(response, settings)
    _check_addressee(response, document, request.sample_id, asked)
    if "choices" not in document and document.get("error"):  # some gateways answer 200 with an error inside
        code, message = _error(response)
        raise Again(f"error_in_answer: {code} {message}".strip())
    if not isinstance(document.get("usage"), dict):
        # Asking again would be paid again, and end the same.
        raise UserError(f"endpoint {settings.endpoint_url} does not tell the tokens that it used: `usage` is required")
    try:
        choice = document["choices"][0]
        text = choice["message"].get("content") or ""
        reason = choice.get("finish_reason")
        usage = document["usage"]
        prompt_tokens, completion_tokens = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise Again(f"malformed_answer: {type(error).__name__} at {error} in a chat completion") from None
    if reason in FINISH_REASONS:
        return Answer(text, FINISH_REASONS[reason], prompt_tokens, completion_tokens)
    if reason == "content_filter":
        raise Refused("content_filter: the endpoint withheld the answer")
    raise Refused(f"finish_{reason}: the endpoint ended the answer in a way that is no answer")


def _document(response: httpx.Response, settings: Inference) -> dict[str, Any]:
    """The JSON of a response. A document that stands there twice is one document."""
    text = response.text.strip()
    if text[:1] == "<":
        raise UserError(
            f"inference.endpoint_url {settings.endpoint_url} answers with a web page: give the API's base (.../v1)"
        )
    try:
        document, end = json.JSONDecoder().raw_decode(text)
        rest = text[end:].strip()
        if rest and json.loads(rest) != document:
            raise Again("malformed_answer: two different answers in one response")
    except json.JSONDecodeError:
        raise Again("malformed_answer: the response is no JSON, or was cut off") from None
    if not isinstance(document, dict):
        raise Again("malformed_answer: the response is no JSON object")
    return document


def _check_addressee(
    response: httpx.Response, document: dict[str, Any], sample_id: str, asked: Collection[str]
) -> None:
    """Refuse an answer that says that it belongs to another request.

    A doubled answer on a kept connection can be read as the answer to the next request. Endpoints that echo the request
    id (in a header, or as vLLM in the answer's own id) let us see it.
    """
    named = _SAMPLE_ID.findall(f"{response.headers.get('x-request-id', '')} {document.get('id', '')}")
    if sample_id not in named and any(other in asked for other in named):
        raise Again("wrong_answer: the response belongs to another request")


def _refusal(response: httpx.Response, settings: Inference) -> Exception:
    """What a status other than 200 means for the request."""
    status = response.status_code
    code, message = _error(response)
    said = f" ({message})" if message else ""
    where = settings.endpoint_url
    if status in (401, 403):
        fix = (
            f"check the key in {settings.endpoint_key_env}"
            if settings.endpoint_key_env
            else "set inference.endpoint_key_env"
        )
        return UserError(f"endpoint {where} refuses the key (HTTP {status}): {fix}")
    if code == "model_not_found" or (status == 404 and "model" in message.lower()):
        return UserError(
            f"endpoint {where} has no model {settings.endpoint_model!r}: set inference.endpoint_model{said}"
        )
    if status in (404, 405) or 300 <= status < 400:
        address = endpoint_address(settings)
        return UserError(
            f"nothing answers at {address} (HTTP {status}): check inference.endpoint_url (http://host:port/v1)"
        )
    if status == 402 or code == "insufficient_quota":
        return UserError(f"endpoint {where} has no budget left for this key{said}: what was committed is kept")
    if status in (400, 422) and NO_FORM.search(message):
        return UserError(
            f"endpoint {where} can't hold answers to a form: set inference.endpoint_short_answers=false (and "
            f"curation.model_tags=off, curation.steps_by=rules){said}"
        )
    if status in AGAIN or status >= 500:
        return Again(
            f"http_{status}: {message or response.reason_phrase}", retry_after(response.headers.get("retry-after"))
        )
    if status == 413 or TOO_LONG.search(f"{code} {message}"):
        return Refused(f"prompt_too_long: {message or 'the endpoint takes no prompt of this length'}")
    if FILTERED.search(f"{code} {message}"):
        return Refused(f"content_filter: {message}")
    # Any other 4xx may well be our fault or a setting's, so nothing is stored of it.
    return Again(f"http_{status}: {message or response.reason_phrase}")


def _error(response: httpx.Response) -> tuple[str, str]:
    """Code and message of an error body, in any of the usual layouts; empty where it has none."""
    try:
        document = response.json()
    except ValueError:
        return "", ""
    error = document.get("error", document) if isinstance(document, dict) else {}
    if isinstance(error, str):
        return "", error[:MESSAGE_LENGTH]
    if not isinstance(error, dict):
        return "", ""
    message = error.get("message") or error.get("detail") or ""
    return str(error.get("code") or error.get("type") or ""), " ".join(str(message).split())[:MESSAGE_LENGTH]


def retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for: a number of seconds or a date. None where there is none to read."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())
