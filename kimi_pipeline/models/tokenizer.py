"""The one tokenizer of all laptop models: 256 bytes, the words of words.txt, three special tokens.

Belongs here: building it. Does not belong here: tokenizers of real models (they come with their folder), wording of prompts
(`inference/templates.py`), putting a message into tokens (`training/examples.py`, `inference/vllm_carrier.py`).

It is built, not trained: the same on every machine. A Unigram model over the byte-level alphabet takes the cut with the
fewest pieces: a word of words.txt is one token, any other text falls back to bytes, so every UTF-8 text comes back
unchanged. Digits and operators are single tokens because no piece holds them. Nothing is split off beforehand, so a
piece may be a phrase of several words.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

WORDS = Path(__file__).with_name("words.txt")
SPACE = "\u2581"  # how words.txt writes a space

USER = "<|user|>"
ASSISTANT = "<|assistant|>"
END = "<|end|>"  # ends a response; also the padding
SPECIAL_TOKENS = (USER, ASSISTANT, END)

PIECE_SCORE = -1.0  # equal scores: the cut with the fewest pieces wins
BYTE_SCORE = -10.0  # a byte is the last resort
NEVER_SCORE = -1000.0  # plain text that spells out a special token: its bytes cost less

# The answer follows the marker at once: no white space of the template's own gets into the text.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'assistant' -%}"
    "{{- '<|assistant|>' + message['content'] + '<|end|>' -}}"
    "{%- else -%}"
    "{{- '<|user|>' + message['content'] -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)


@cache
def pieces() -> tuple[str, ...]:
    """The pieces of words.txt as plain text, without doubles, in the file's order."""
    found: dict[str, None] = {}
    for line in WORDS.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("="):
            found[line[1:].replace(SPACE, " ")] = None
        else:
            found[line] = None
            found[f" {line}"] = None
    return tuple(piece for piece in found if len(piece.encode()) > 1)


@cache
def _byte_characters() -> tuple[str, ...]:
    """The printable character that stands for each byte, 0 to 255 (the byte-level alphabet of GPT-2)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    characters = {byte: chr(byte) for byte in plain} | {byte: chr(256 + n) for n, byte in enumerate(others)}
    return tuple(characters[byte] for byte in range(256))


def build_tokenizer(window: int = 256) -> PreTrainedTokenizerFast:
    """The tokenizer for models with a context of `window` tokens. Ids: specials, then bytes, then pieces."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = _byte_characters()
    vocabulary = [(token, NEVER_SCORE) for token in SPECIAL_TOKENS]
    vocabulary += [(character, BYTE_SCORE) for character in alphabet]
    vocabulary += [("".join(alphabet[byte] for byte in piece.encode()), PIECE_SCORE) for piece in pieces()]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=None, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    wrapped = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=END,
        additional_special_tokens=[USER, ASSISTANT],
        model_max_length=window,
        clean_up_tokenization_spaces=False,
        padding_side="right",
    )
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped
