"""Which carrier answers for a checkpoint: one endpoint for all, one vLLM engine here, or several beside each other.

Belongs here: starting them, swapping weights. Does not belong here: how they answer (`vllm_carrier.py`, `replicas.py`,
`endpoint_carrier.py`), what is asked.
"""

from __future__ import annotations

import time
from pathlib import Path

from kimi_pipeline.inference.replicas import Replicas
from kimi_pipeline.inference.request import Carrier
from kimi_pipeline.inference.vllm_carrier import VllmServer
from kimi_pipeline.profiles import Profile


class Carriers:
    """The carriers of a job. Make it first thing: the processes of replicas are forks of this one, which should have no
    threads by then. They start no engine before `serving` asks for one.
    """

    def __init__(self, profile: Profile) -> None:
        self._settings = profile.inference
        self._endpoint: Carrier | None = None
        self._here: VllmServer | Replicas | None = None
        if self._settings.carrier == "vllm":
            self._here = VllmServer(profile) if self._settings.data_parallel == 1 else Replicas(profile)
        self.seconds = 0.0

    def serving(self, folder: Path | None) -> Carrier:
        """The carrier, with the weights of `folder`; starts it on the first call. `seconds` grows by what that took."""
        if self._here is None:
            if self._endpoint is None:
                from kimi_pipeline.inference.endpoint_carrier import EndpointCarrier

                self._endpoint = EndpointCarrier(self._settings)
            return self._endpoint
        if folder is None:
            raise ValueError("a pass for vLLM needs the checkpoint's folder")
        started = time.monotonic()
        carrier = self._here.serving(folder)
        self.seconds += time.monotonic() - started
        return carrier

    def close(self) -> None:
        for one in (self._endpoint, self._here):
            if one is not None:
                one.close()
