"""An oracle for answers in words: it knows every form that the bench's policy writes, and reads it back.

Belongs here: reading an ending, and the process that serves it in the place of a reward model. Does not belong here: the
forms (`reward_models/forms.py`), training on it (`free_form.py`).

It is the truth by construction: exact on these forms, and of no use on any other text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from kimi_pipeline.reward_models.forms import DIGIT_WORDS
from kimi_pipeline.reward_models.service import serve
from kimi_pipeline.rewards.second_opinion import Opinion, Question

BACKWARDS = "from the end "
_ENDING = re.compile(r"(?:\\boxed\{(?P<boxed>[^{}]*)\}|(?:The answer is|so it is) (?P<said>.*))\Z")


class Oracle:
    """A `SecondOpinion` without a doubt or a cost."""

    version = "oracle@1"

    def judge(self, questions: Sequence[Question]) -> list[Opinion]:
        return [
            Opinion(meaning(one.response) == one.reference, judge=self.version, evidence=(meaning(one.response) or "",))
            for one in questions
        ]


def meaning(response: str) -> str | None:
    """What a response's last line says, in the notation of references; None where it is none of the known endings."""
    found = _ENDING.search(response.rstrip().rpartition("\n")[2])
    if found is None:
        return None
    said = found["boxed"] if found["boxed"] is not None else found["said"]
    backwards = said.startswith(BACKWARDS)
    words = said.removeprefix(BACKWARDS).removesuffix(".0").replace(" then ", " ").replace(",", "").split()
    value = "".join(str(DIGIT_WORDS.index(word)) if word in DIGIT_WORDS else word for word in words)
    return value[::-1] if backwards else value


def _oracle(spec: dict[str, Any]) -> Oracle:
    return Oracle()


if __name__ == "__main__":
    serve(_oracle)
