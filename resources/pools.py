"""Pools: work that must not run twice at a time on one machine. `deploy/dagster.yaml` lets one step into each.

Belongs here: their names. Does not belong here: which stage holds a place in which (`assets/factory.py`).
"""

from __future__ import annotations

MODELS = "gpu"
"""Sampling and training, whatever they run on."""
PROGRAMS = "sandbox"
"""Untrusted programs."""
