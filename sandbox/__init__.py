"""The sandbox: where untrusted programs run. Knows nothing of the pipeline."""
