"""With what the assets run: Dagster resources for the settings, the lake and the jobs, and the instance's own folder.

Belongs here: thin Dagster faces of things that `kimi_pipeline` owns, chosen and configured per deployment.
Does not belong here: what is materialised (`assets/`) and how it is done (`kimi_pipeline/`).
"""

from resources.compute import ComputeResource
from resources.lake import LakeResource
from resources.profile import ProfileResource
from resources.sandbox import SandboxResource

__all__ = ["ComputeResource", "LakeResource", "ProfileResource", "SandboxResource"]
