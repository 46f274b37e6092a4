"""Reinforcement learning by online mirror descent [2.3], as one SPMD program of trainer and colocated vLLM [2.6].

The map: mirror_descent.py is the loss, objectives.py its rivals and the choice among them. segments.py holds tokens and
log-probs, trajectories.py responses and groups made of them, replay_buffer.py those that go on. prompt_sampling/ chooses
problems; rollout.py samples, asking.py opens the judges and judging.py has the rewards, learning.py takes the steps of an
iteration, handover.py gives vLLM the new weights and checks them, reward_watch.py sees whether the reward is hacked.
figures.py and records.py say what came of it, phases.py how long it took and who hangs, course.py which runs are one and
the same, recovery.py what a killed run goes on from, residence.py whose turn it is on the GPU. loop.py is the job, master.py
what its rank 0 writes, stage.py its place in the lineage.
"""
