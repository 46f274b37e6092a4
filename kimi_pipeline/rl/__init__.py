"""Reinforcement learning by online mirror descent [2.3], as one SPMD program of trainer and colocated vLLM [2.6].

The map: mirror_descent.py is the loss; segments.py the rollouts' tokens and log-probs; prompt_sampling.py chooses
problems; rollout.py samples and rewards; learning.py takes the steps of an iteration; handover.py gives vLLM the new
weights and checks them; loop.py is the job.
"""
