"""A warm process that imports nothing: `python -m tests.dagster.light_warm FD`; ready after `$SLOW` seconds."""

from __future__ import annotations

import os
import sys
import time

from kimi_pipeline.jobs import die_with_parent
from kimi_pipeline.training.warm import serve

if __name__ == "__main__":
    die_with_parent()
    time.sleep(float(os.environ.get("SLOW", "0")))
    os.write(int(sys.argv[1]), b'{"ready": true}\n')
    serve(sys.stdin, int(sys.argv[1]))
