"""Reward models for answers that rules can't decide [2.3.5]: the Classic RM (one scalar) and the Chain-of-Thought RM.

The map: cases.py makes hard cases, forms.py ways to write an answer, verdicts.py the reasoning with its JSON verdict,
wording.py the question put to either model; corpus.py is their common corpus; classic.py and value_head.py train the one,
cot.py judges with the other (in a job, judging_job.py, or beside a training, service.py); figures.py says how good they
are; stages.py puts them into the lineage.
"""
