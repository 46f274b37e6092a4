"""JSON forms: holding the decoder to an object with one field that has one of a few values.

Belongs here: the form as a JSON schema, and reading an answer. Does not belong here: what is asked in a form
(`curation/model_labels.py`), free short answers (`short_answer.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class JsonForm:
    """`{"KEY": VALUE}` with one of `values`, all of one type."""

    key: str
    values: tuple[str, ...] | tuple[int, ...]

    @property
    def schema(self) -> dict[str, Any]:
        kind = "integer" if isinstance(self.values[0], int) else "string"
        value = {"type": kind, "enum": list(self.values)}
        return {
            "type": "object",
            "properties": {self.key: value},
            "required": [self.key],
            "additionalProperties": False,
        }

    def read(self, text: str) -> str | int | None:
        """The value in an answer; None where it does not fit (an endpoint may not hold its model to it)."""
        try:
            found = json.loads(text)
        except ValueError:
            return None
        value = found.get(self.key) if isinstance(found, dict) else None
        return value if type(value) is type(self.values[0]) and value in self.values else None
