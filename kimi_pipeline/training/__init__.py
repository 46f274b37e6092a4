"""Training: one DeepSpeed trainer for every stage, supervised fine-tuning, and the record of runs in MLflow.

The map: runtime.py starts a process and its ranks; policy.py is the model as log-probabilities; examples.py reads worked
examples as tokens, packing.py makes batches of them; engine.py trains, hands weights out and saves, by the rules of
optimizers.py; supervised.py is fine-tuning on examples, sft.py its job, base.py the job that builds the tiny base model;
tracking.py writes to MLflow. warm.py is the process that jobs are forks of; stages.py is the place of base, corpus and SFT in
the lineage.
"""
