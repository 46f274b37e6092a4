"""Audits read what a real curation run wrote: the same run on a scripted model that `tests/curation` uses."""

from tests.curation.conftest import curation, finished

__all__ = ["curation", "finished"]
