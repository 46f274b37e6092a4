"""`python -m kimi_pipeline.cli`: the same as `kimi-pipeline`."""

from kimi_pipeline.cli import main

main()
