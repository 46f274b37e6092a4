"""vLLM in-process as a carrier: requests in, completions out as they finish, weights swapped in place.

Belongs here: rendering prompts, submitting, reading answers, swapping a checkpoint folder. Does not belong here: how the
engine is started (`vllm_engine.py`), weights that come from a trainer's memory (`rl/`).

A request's tokens depend on its seed, its prompt and the weights, not on what decodes beside it: bit for bit in float32
on a CPU; in bfloat16, and on GPUs, rounding may differ with the batch.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Generator, Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kimi_pipeline.checkpoints import check_model_folder
from kimi_pipeline.digests import digest, file_digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.inference.request import Completion, SampleRequest, failed
from kimi_pipeline.inference.short_answer import pattern
from kimi_pipeline.inference.vllm_engine import build_llm
from kimi_pipeline.profiles import Profile
from kimi_pipeline.profiles.sections import Inference

if TYPE_CHECKING:
    from vllm import SamplingParams
    from vllm.outputs import RequestOutput
    from vllm.v1.engine.llm_engine import LLMEngine

AHEAD = 2  # requests handed to an engine, as a multiple of what it decodes together
FINISH_REASONS = {"stop": "stop", "length": "length", "repetition": "repetition"}
MARK = "\u2063kimi\u2063"  # invisible separators around a word: no template holds it
VOLATILE_CONFIG = ("_name_or_path", "transformers_version", "dtype", "torch_dtype")


class VllmCarrier:
    """One engine. `window` bounds prompt and answer together, in tokens. `logprobs` are natural logarithms: under the model
    itself, before temperature and top-p; with the engine's `processed_logprobs`, which RL asks for, after them. Without
    `logprobs` sampling is a little faster. Without `texts` completions hold their tokens alone: for callers that put whole
    responses into text themselves.

    Raises UserError for a folder that is no model, has no chat template, or knows a shorter window.
    """

    name = "vllm"

    def __init__(
        self,
        folder: Path,
        settings: Inference,
        *,
        window: int,
        dtype: str,
        logprobs: bool = True,
        texts: bool = True,
        **engine: Any,
    ) -> None:
        check_model_folder(folder)
        check_window(folder, window)
        check_tensor_parallel(folder, settings.tensor_parallel)
        self.window = window
        self._settings = settings
        self._logprobs = logprobs
        self._texts = texts
        self._running: dict[str, SampleRequest] = {}  # handed to the engine and not yet answered
        self.steps = 0  # of the engine, since it was started: each decodes one token of every running request
        self._identity = swap_identity(folder)
        self.llm = build_llm(folder, settings, window=window, dtype=dtype, **engine)
        self.tokenizer: Any = self.llm.get_tokenizer()
        if not getattr(self.tokenizer, "chat_template", None):
            raise UserError(
                f"the tokenizer in {folder} has no chat template: add chat_template.jinja to the model folder"
            )
        self._prompt_tokens = lru_cache(maxsize=4096)(self._render)

    @property
    def engine(self) -> LLMEngine:
        """vLLM's engine, for callers that abort or continue requests themselves."""
        return self.llm.llm_engine

    # -- answering ----------------------------------------------------------------------------------------------

    def generate(self, requests: Iterable[SampleRequest]) -> Generator[Completion, None, None]:
        """Completions as they finish. Requests are pulled as the engine has room for them.

        A request that exceeds the window comes back as an error. Where the caller stops early, what is still decoding
        is aborted.
        """
        waiting = iter(requests)
        exhausted = False
        try:
            while True:
                while not exhausted and len(self._running) < ahead(self._settings):
                    request = next(waiting, None)
                    if request is None:
                        exhausted = True
                    elif (refused := self.submit(request)) is not None:
                        yield refused
                if not self.is_busy:
                    return
                yield from self.step()
        finally:
            self.abort()

    @property
    def is_busy(self) -> bool:
        """Whether a submitted request waits for its answer."""
        return bool(self._running)

    def submit(self, request: SampleRequest) -> Completion | None:
        """Hand a request to the engine, for `step` to answer; returns its completion at once where it can't be answered."""
        tokens = request.prompt_token_ids or self._prompt_tokens(request.user_message)
        if len(tokens) + request.sampling.max_tokens > self.window:
            asked = f"{len(tokens)} tokens of prompt and {request.sampling.max_tokens} for the answer"
            error = f"prompt_too_long: {asked} exceed the window of {self.window} (model.window)"
            return failed(request, error, retryable=False, prompt_tokens=len(tokens))
        from vllm.inputs import tokens_input

        self.engine.add_request(request.sample_id, tokens_input(list(tokens)), self._parameters(request))
        self._running[request.sample_id] = request
        return None

    def step(self) -> list[Completion]:
        """Decode one token of every running request; returns the completions that ended with it."""
        self.steps += 1
        stepped: list[Any] = self.engine.step()  # typed for models that embed as well
        return [self._completion(self._running.pop(one.request_id), one) for one in stepped if one.finished]

    def abort(self) -> None:
        """Give up what is still decoding."""
        if self._running:
            self.engine.abort_request(list(self._running), internal=False)
            self._running.clear()

    def _parameters(self, request: SampleRequest) -> SamplingParams:
        from vllm import SamplingParams
        from vllm.sampling_params import RepetitionDetectionParams, RequestOutputKind, StructuredOutputsParams

        repetition = request.sampling.repetition
        form = None
        if request.sampling.short_answer:
            form = StructuredOutputsParams(regex=pattern(request.sampling.max_tokens))
        elif request.sampling.json_schema:
            form = StructuredOutputsParams(json=request.sampling.json_schema)
        return SamplingParams(
            temperature=request.sampling.temperature,
            top_p=request.sampling.top_p,
            max_tokens=request.sampling.max_tokens,
            seed=request.seed,
            logprobs=0 if self._logprobs else None,  # 0: of the sampled token alone
            flat_logprobs=self._logprobs,
            # vLLM would put every token into text on its own, and again for its log-prob: a third of a small model's time.
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
            repetition_detection=RepetitionDetectionParams(repetition.longest, 1, repetition.times)
            if repetition
            else None,
            structured_outputs=form,
        )

    def _completion(self, request: SampleRequest, output: RequestOutput) -> Completion:
        answer = output.outputs[0]
        tokens = tuple(answer.token_ids)
        logprobs: tuple[float, ...] = ()
        if self._logprobs:
            flat: Any = answer.logprobs
            logprobs = tuple(flat.logprobs[start] for start in flat.start_indices)
        if answer.finish_reason not in FINISH_REASONS:
            # The engine gave the request up (an abort, a fault of its own): the weights and the request are not to blame.
            return failed(request, f"engine_{answer.finish_reason}: vLLM gave the request up", retryable=True)
        return Completion(
            request=request,
            text=self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            if self._texts
            else "",
            finish_reason=FINISH_REASONS[answer.finish_reason],
            prompt_tokens=len(output.prompt_token_ids or ()),
            completion_tokens=len(tokens),
            token_ids=tokens,
            logprobs=logprobs,
        )

    def _render(self, user_message: str) -> tuple[int, ...]:
        return render_prompt(self.tokenizer, user_message)

    # -- weights ------------------------------------------------------------------------------------------------

    def can_swap(self, folder: Path) -> bool:
        """Whether the weights of `folder` fit this engine: same architecture, same tokenizer."""
        check_model_folder(folder)
        return swap_identity(folder) == self._identity

    def swap(self, folder: Path) -> None:
        """Load the weights of `folder` in place and forget what the old ones computed. Nothing may be decoding.

        Raises ValueError where the folder holds another architecture or tokenizer.
        """
        if not self.can_swap(folder):
            raise ValueError(f"{folder} holds another architecture or tokenizer than the engine's model")
        if self.engine.has_unfinished_requests():
            raise RuntimeError("weights can't be swapped while requests are decoding")
        self.engine.collective_rpc("reload_weights", kwargs={"weights_path": str(folder)})
        if not self.engine.reset_prefix_cache():
            raise RuntimeError("the prefix cache of the old weights could not be emptied")

    def sleep(self, level: int) -> None:
        """Give GPU memory back: the key-value cache, and the weights (1: to the host; 2: dropped). Nothing may be decoding.
        The engine must have been started with `sleeps`."""
        self.llm.sleep(level=level)

    def wake(self, part: str) -> None:
        """Take memory again for `weights` (their values come by a hand-over) or the `kv_cache`."""
        self.llm.wake_up(tags=[part])

    def close(self) -> None:
        """Give the engine's memory back."""
        engine = self.__dict__.pop("llm", None)
        if engine is None:
            return
        engine.llm_engine.engine_core.shutdown()
        del engine
        gc.collect()


class VllmServer:
    """One engine in this process for one checkpoint after the other: weights are swapped in place where the shapes allow it.
    The engine starts with the first checkpoint."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._folder: Path | None = None
        self._carrier: VllmCarrier | None = None

    def serving(self, folder: Path) -> VllmCarrier:
        """The carrier with the weights of `folder`. Raises UserError for a folder that can't be served."""
        if self._carrier is not None and self._folder != folder and self._carrier.can_swap(folder):
            self._carrier.swap(folder)
        elif self._carrier is None or self._folder != folder:
            self.close()
            settings, model = self._profile.inference, self._profile.model
            self._carrier = VllmCarrier(folder, settings, window=model.window, dtype=model.dtype, logprobs=False)
        self._folder = folder
        return self._carrier

    def close(self) -> None:
        if self._carrier is not None:
            self._carrier.close()
            self._carrier = None


def ahead(settings: Inference) -> int:
    """Requests that one engine has at hand at most: what it decodes, and as many that wait, so that its queue never runs dry."""
    return AHEAD * settings.max_num_seqs


def render_prompt(tokenizer: Any, user_message: str) -> tuple[int, ...]:
    """The tokens of one user's turn by the tokenizer's chat template, ready for the answer.

    A message that spells out a special token (a corpus row that says <|im_end|>) must not end the turn: its text is then
    put into tokens on its own, as plain text.
    """
    if not any(token in user_message for token in special_tokens(tokenizer)):
        messages = [{"role": "user", "content": user_message}]
        return tuple(tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False))
    around = around_message(tokenizer)
    if around is None:
        raise UserError("the model's chat template does not put the user's message in: check chat_template.jinja")
    before, after = around

    def tokens(part: str, plain: bool) -> list[int]:
        return tokenizer(part, add_special_tokens=False, split_special_tokens=plain)["input_ids"] if part else []

    return tuple(tokens(before, False) + tokens(user_message, True) + tokens(after, False))


def special_tokens(tokenizer: Any) -> list[str]:
    """The texts that a tokenizer reads as special tokens; some may come twice."""
    special = [token for token in tokenizer.all_special_tokens if token]
    return special + [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]


def around_message(tokenizer: Any) -> tuple[str, str] | None:
    """What the chat template writes before one user's message and after it, ready for the answer; None where it leaves the
    message out."""
    messages = [{"role": "user", "content": MARK}]
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    before, found, after = text.partition(MARK)
    return (before, after) if found else None


def swap_identity(folder: Path) -> str:
    """What two folders must share for a swap in place: the architecture (config) and the tokenizer."""
    config = json.loads((folder / "config.json").read_text())
    shape = {name: value for name, value in config.items() if name not in VOLATILE_CONFIG}
    tokenizers = [
        file_digest(path) for name in ("tokenizer.json", "tokenizer.model") if (path := folder / name).is_file()
    ]
    return digest([shape, tokenizers])


def check_window(folder: Path, window: int) -> None:
    """Raises UserError where the model was not made for sequences of `window` tokens."""
    config = json.loads((folder / "config.json").read_text())
    longest = (config.get("text_config") or config).get("max_position_embeddings")
    if isinstance(longest, int) and window > longest:
        raise UserError(f"model.window is {window}, but {folder} takes {longest} tokens: set model.window={longest}")


def check_tensor_parallel(folder: Path, ranks: int) -> None:
    """Raises UserError where the model's attention heads can't be shared out evenly among `ranks`."""
    config = json.loads((folder / "config.json").read_text())
    heads = (config.get("text_config") or config).get("num_attention_heads")
    if isinstance(heads, int) and heads % ranks:
        raise UserError(
            f"inference.tensor_parallel is {ranks}, but {folder} has {heads} heads: choose a divisor of {heads}"
        )
