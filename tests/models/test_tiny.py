"""The tiny model: seeded, loadable by transformers, served by vLLM with structured output (slow)."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from kimi_pipeline.inference.vllm_carrier import render_prompt  # noqa: E402
from kimi_pipeline.models.tiny import HEAD_SIZE, build_tiny, save_tiny  # noqa: E402
from kimi_pipeline.models.tokenizer import build_tokenizer  # noqa: E402
from kimi_pipeline.profiles.profile import Model  # noqa: E402

SETTINGS = Model(layers=2, width=64, heads=4, window=256)


def test_the_seed_decides_the_weights_and_nothing_else_is_touched():
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    one, same, other = build_tiny(SETTINGS, 1), build_tiny(SETTINGS, 1), build_tiny(SETTINGS, 2)
    assert torch.equal(before, torch.random.get_rng_state())
    pairs = zip(one.parameters(), same.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(one.lm_head.weight, other.lm_head.weight)


def test_shape():
    model = build_tiny(SETTINGS, 0)
    assert model.config.head_dim == HEAD_SIZE
    assert model.config.vocab_size >= len(build_tokenizer())
    assert "lm_head.weight" in dict(model.named_parameters())  # not tied: a weight swap hands it over
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert 150_000 < sum(parameter.numel() for parameter in model.parameters()) < 350_000


def test_the_saved_folder_is_the_model(tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    save_tiny(SETTINGS, 3, tmp_path)
    tokens = torch.tensor([render_prompt(AutoTokenizer.from_pretrained(tmp_path), "First rotate left")])
    with torch.no_grad():
        loaded = AutoModelForCausalLM.from_pretrained(tmp_path)(tokens).logits
        assert torch.equal(loaded, build_tiny(SETTINGS, 3)(tokens).logits)


VLLM_PROGRAM = """
import json, sys
from vllm import LLM, SamplingParams
from vllm.sampling_params import StructuredOutputsParams
from kimi_pipeline.inference.vllm_carrier import render_prompt

folder = sys.argv[1]
llm = LLM(folder, enforce_eager=True, block_size=32, dtype="float32", max_model_len=256, max_num_seqs=64)
tokenizer = llm.get_tokenizer()
prompt = {"prompt_token_ids": list(render_prompt(tokenizer, "Is 4702 correct? é🦊"))}
schema = {
    "type": "object",
    "properties": {"verdict": {"type": "boolean"}, "score": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["verdict", "score"],
    "additionalProperties": False,
}
free = SamplingParams(temperature=1.0, max_tokens=24, n=4, seed=1, logprobs=0)
bound = SamplingParams(temperature=1.0, max_tokens=64, n=4, seed=1,
                       structured_outputs=StructuredOutputsParams(json=schema, disable_any_whitespace=True))
samples = llm.generate([prompt], free)[0].outputs
structured = llm.generate([prompt], bound)[0].outputs
chat = llm.chat([[{"role": "user", "content": "Is 4702 correct?"}]], SamplingParams(max_tokens=4))[0]
print("RESULT " + json.dumps({
    "free": [[list(o.token_ids), [next(iter(p.values())).logprob for p in o.logprobs]] for o in samples],
    "json": [o.text for o in structured],
    "chat_prompt": list(chat.prompt_token_ids),
}))
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_vllm_serves_it_with_structured_output_and_the_same_log_probs(tmp_path):
    pytest.importorskip("vllm")
    save_tiny(SETTINGS, 0, tmp_path)
    environment = os.environ | {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "2",
    }
    command = [sys.executable, "-c", VLLM_PROGRAM, str(tmp_path)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    result = json.loads(next(line for line in run.stdout.splitlines() if line.startswith("RESULT "))[7:])

    tokenizer, model = build_tokenizer(), build_tiny(SETTINGS, 0)
    for text in result["json"]:
        verdict = json.loads(text)
        assert set(verdict) == {"verdict", "score"}
        assert isinstance(verdict["verdict"], bool)
    assert result["chat_prompt"] == list(render_prompt(tokenizer, "Is 4702 correct?"))

    prompt = render_prompt(tokenizer, "Is 4702 correct? é🦊")
    for tokens, log_probs in result["free"]:
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *tokens]])).logits[0, len(prompt) - 1 : -1]
        own = logits.log_softmax(-1).gather(1, torch.tensor(tokens)[:, None])[:, 0]
        assert torch.allclose(own, torch.tensor(log_probs), atol=1e-4)
