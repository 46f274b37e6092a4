"""What every section of a profile is: checked, frozen, no unknown fields; the types of number that fields share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Temperature = Annotated[float, Field(ge=0, le=2)]


class Section(BaseModel):
    """A part of a profile. Unknown fields are errors, values are checked, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
