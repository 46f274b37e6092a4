"""Training: one DeepSpeed trainer for every stage, supervised fine-tuning, and the record of runs in MLflow.

The map: runtime.py starts a process and its ranks; policy.py is the model as log-probabilities; packing.py turns
examples into batches; engine.py trains, hands weights out and saves; sft.py is the job; tracking.py writes to MLflow.
"""
