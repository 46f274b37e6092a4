"""Any OpenAI-compatible chat endpoint as a carrier: many requests in flight, each answered once.

Belongs here: HTTP, retries, the bridge from asyncio to a plain iterator. Does not belong here: what an answer means
(`endpoint_protocol.py`), storage (`store.py`).

No sample is lost and none is paid twice, as far as a client can see to it: a request carries its sample id as
`Idempotency-Key` and `X-Request-Id` on every try, so that a gateway which knows them gives the answer it has already
made; an answer that arrives twice is taken once; committed samples are never asked for at all. An endpoint that ignores
both headers may compute again what it answered into a broken connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import random
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import Any

import httpx

from kimi_pipeline.errors import UserError
from kimi_pipeline.inference.endpoint_protocol import (
    Again,
    Answer,
    Refused,
    endpoint_address,
    is_loopback,
    payload,
    read_answer,
)
from kimi_pipeline.inference.request import Completion, SampleRequest, failed
from kimi_pipeline.profiles.sections import Inference

LONGEST_WAIT = 60.0  # seconds between two tries of one request, whatever the endpoint asks for
FIRST_WAIT = 0.5  # seconds; doubles with each try
_END = object()


class EndpointCarrier:
    """An endpoint as the profile's section inference describes it. `first_wait` is the first pause before another try,
    in seconds.

    Raises UserError for settings that can't work: no URL, no model, an empty key variable.
    """

    name = "endpoint"

    def __init__(self, settings: Inference, *, first_wait: float = FIRST_WAIT) -> None:
        self._url = endpoint_address(settings)
        self._settings = settings
        self._first_wait = first_wait
        self._headers = _key_header(settings.endpoint_key_env)
        self._asked: set[str] = set()
        self._health = _Health(settings)

    def generate(self, requests: Iterable[SampleRequest]) -> Generator[Completion, None, None]:
        """Completions as they arrive. Raises UserError where the endpoint refuses all work (key, model, URL, down).

        The requests are read in another thread. Where the caller stops early, what is in flight is dropped.
        """
        results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        loop = asyncio.new_event_loop()
        work = loop.create_task(self._serve(iter(requests), results))

        def serve() -> None:
            asyncio.set_event_loop(loop)
            with contextlib.closing(loop):
                try:
                    loop.run_until_complete(work)
                    results.put(_END)
                except asyncio.CancelledError:
                    results.put(_END)
                except BaseException as error:  # raised again in the caller's thread
                    results.put(error)

        thread = threading.Thread(target=serve, name="endpoint", daemon=True)
        thread.start()
        try:
            while (result := results.get()) is not _END:
                if isinstance(result, BaseException):
                    raise result
                yield result
        finally:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it is done already
                loop.call_soon_threadsafe(work.cancel)
            thread.join()

    def close(self) -> None:
        """Nothing is kept between calls of `generate`."""

    # -- in the loop's thread -----------------------------------------------------------------------------------

    async def _serve(self, requests: Iterator[SampleRequest], results: queue.SimpleQueue[Any]) -> None:
        settings = self._settings
        # No connection is used twice: where a gateway answers twice on one, the second answer would be taken for that of the
        # next request, and so on for good. A new connection is little beside an answer of a model.
        limits = httpx.Limits(max_connections=settings.endpoint_concurrency, max_keepalive_connections=0)
        async with httpx.AsyncClient(
            headers=self._headers,
            timeout=settings.endpoint_timeout_s,
            limits=limits,
            trust_env=not is_loopback(self._url),  # a proxy of the environment can't reach this machine's own loopback
        ) as client:

            async def worker() -> None:
                for request in requests:  # one thread: workers take turns
                    completion = await self._complete(client, request)
                    self._health.saw(completion)
                    results.put(completion)

            workers = [asyncio.create_task(worker()) for _ in range(settings.endpoint_concurrency)]
            try:
                await asyncio.gather(*workers)
            finally:
                for task in workers:
                    task.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
        self._health.end()

    async def _complete(self, client: httpx.AsyncClient, request: SampleRequest) -> Completion:
        """Ask until there is an answer or the tries are used up."""
        self._asked.add(request.sample_id)
        problem = ""
        for attempt in range(self._settings.endpoint_retries + 1):
            try:
                answer = await self._ask(client, request)
            except Again as again:
                problem = str(again)
                if attempt < self._settings.endpoint_retries:
                    await asyncio.sleep(self._pause(attempt, again.wait))
            except Refused as refused:
                return failed(request, str(refused), retryable=False)
            else:
                return self._completion(request, answer)
        return failed(request, problem, retryable=True)

    def _completion(self, request: SampleRequest, answer: Answer) -> Completion:
        error = None
        if answer.finish_reason == "length" and answer.completion_tokens < request.sampling.max_tokens:
            # Servers shorten max_tokens to what their window leaves; the model was not given the tokens it was to have.
            error = f"prompt_too_long: the endpoint's window left {answer.completion_tokens} tokens for the answer"
        return Completion(
            request=request,
            text=answer.text,
            finish_reason="error" if error else answer.finish_reason,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            cost=answer.completion_tokens * self._settings.price_per_million_tokens / 1e6,
            error=error,
        )

    async def _ask(self, client: httpx.AsyncClient, request: SampleRequest) -> Answer:
        """One try. Raises Again, Refused or UserError."""
        try:
            async with asyncio.timeout(self._settings.endpoint_timeout_s):
                response = await client.post(
                    self._url,
                    json=payload(request, self._settings.endpoint_model or ""),
                    headers={"Idempotency-Key": request.sample_id, "X-Request-Id": request.sample_id},
                )
        except (TimeoutError, httpx.TimeoutException):
            seconds = f"{self._settings.endpoint_timeout_s:g} s"
            raise Again(f"timeout: no answer within {seconds} (inference.endpoint_timeout_s)") from None
        except httpx.ConnectError as error:
            raise Again(f"no_connection: {error}") from None
        except httpx.RequestError as error:
            raise Again(f"dropped: the connection broke ({type(error).__name__})") from None
        try:
            return read_answer(response, request, self._settings, self._asked)
        except (Again, Refused, UserError) as error:
            error.args = tuple(self._without_key(str(part)) for part in error.args)  # some endpoints repeat the key
            raise

    def _without_key(self, text: str) -> str:
        key = self._headers.get("Authorization", "").removeprefix("Bearer ")
        return text.replace(key, "***") if key else text

    def _pause(self, attempt: int, asked: float | None) -> float:
        """Seconds until the next try: what the endpoint asks for (Retry-After), else exponential; with jitter on top, so
        that the requests that failed together do not come back together."""
        wait = self._first_wait * 2**attempt
        if asked is not None:
            return min(asked + random.uniform(0, self._first_wait), LONGEST_WAIT)
        return min(random.uniform(0.5, 1.0) * wait, LONGEST_WAIT)


class _Health:
    """Tells an endpoint that is down from one that failed a few requests: after as many failures in a row as there are
    requests in flight, or where nothing was ever answered, the run stops instead of failing sample by sample."""

    def __init__(self, settings: Inference) -> None:
        self._settings = settings
        self._answered = 0
        self._in_a_row = 0
        self._last = ""

    def saw(self, completion: Completion) -> None:
        if not completion.retryable:
            self._answered += 1
            self._in_a_row = 0
            return
        self._in_a_row += 1
        self._last = completion.error or ""
        if self._in_a_row >= max(self._settings.endpoint_concurrency, 2):
            self._stop()

    def end(self) -> None:
        if self._in_a_row and not self._answered:
            self._stop()

    def _stop(self) -> None:
        tries = self._settings.endpoint_retries + 1
        raise UserError(
            f"endpoint {self._settings.endpoint_url} does not answer ({tries} tries a request): {self._last}. "
            "Check inference.endpoint_url and run again: what was committed is kept"
        )


def _key_header(variable: str | None) -> dict[str, str]:
    """The key from the environment variable of that name. It is never logged and stands in no message."""
    if variable is None:
        return {}
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UserError(f"inference.endpoint_key_env names {variable}, which is not set: export {variable}=...")
    if not key.isascii() or not key.isprintable():
        raise UserError(f"the key in {variable} has characters that no HTTP header may hold: set it again")
    return {"Authorization": f"Bearer {key}"}
