"""How a response is put to a reward model: question, reference answer, response [2.3.5].

Belongs here: wording and its version. Does not belong here: special tokens (the tokenizer's chat template).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wording:
    """A user's message for either model. `{...}` in the texts that go in stay as they are."""

    name: str
    version: int
    text: str

    def message(self, question: str, reference: str, response: str) -> str:
        parts = {"{question}": question, "{reference}": reference, "{response}": response}
        found, rest = [], self.text
        for mark, value in parts.items():
            before, _, rest = rest.partition(mark)
            found += [before, value]
        return "".join([*found, rest])

    @property
    def id(self) -> str:
        return f"{self.name}-judge@{self.version}"


WORDINGS = {
    "tiny": Wording("tiny", 1, "{question}\nreference {reference}\nresponse {response}\nverdict"),
    "chat": Wording(
        "chat",
        1,
        "You are given a question, the reference answer and a response. Decide whether the final answer of the response "
        "equals the reference answer, whatever its form. A response that gives several answers, or none, is wrong.\n\n"
        "Question:\n{question}\n\nReference answer:\n{reference}\n\nResponse:\n{response}\n\n"
        'Compare step by step, then answer with one JSON object: {"reasoning": "...", "verdict": "correct" or "wrong"}.',
    ),
}
