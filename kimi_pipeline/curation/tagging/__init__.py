"""The tagging system [2.1]: domain, discipline, language and grade of every problem, so that subjects can be balanced.

The map: keywords.py holds the shipped rules; features.py and classifier.py a classifier that is trained (training.py)
where sources carry labels; stage.py tags all problems by the best that there is; doubts.py asks people about the unsure
tags.

Belongs here: finding a problem's tag. Does not belong here: which tags there are (`taxonomy.toml`), refusing problems.
"""

from __future__ import annotations

from kimi_pipeline.curation.tagging.stage import TAGS
from kimi_pipeline.curation.tagging.training import TAGGER

__all__ = ["TAGGER", "TAGS"]
