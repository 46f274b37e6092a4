"""Prompt templates: the wording around a problem, with reasoning and without.

Belongs here: wording and its version (stored with every sample). Does not belong here: special tokens of a model; those
come from the chat template of its tokenizer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Format = Literal["reasoning", "guess"]


@dataclass(frozen=True)
class Template:
    """How a problem is put to a model. `reasoning` and `guess` hold `{prompt}` once."""

    name: str
    version: int
    reasoning: str
    guess: str

    def user_message(self, prompt: str, format: Format) -> str:
        """The user's turn. The prompt goes in as given: it may hold braces of its own."""
        return getattr(self, format).replace("{prompt}", prompt)

    def id(self, format: Format, constrained: bool = False) -> str:
        """What samples store: `tiny-guess@1`, and `tiny-guess@1+short` where the decoder was held to a short answer."""
        return f"{self.name}-{format}@{self.version}" + ("+short" if constrained else "")


TEMPLATES = {
    # A laptop model reads little: one word chooses the format. Both formats are part of its SFT.
    "tiny": Template("tiny", 1, reasoning="{prompt}\nReason.", guess="{prompt}\nAnswer."),
    "chat": Template(
        "chat",
        1,
        reasoning="{prompt}\n\nThink step by step, then put the final answer in \\boxed{}.",
        guess="{prompt}\n\nGive only the final answer in \\boxed{}, without any reasoning or explanation.",
    ),
}
