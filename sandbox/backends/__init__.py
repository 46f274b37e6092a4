"""Backends: what makes workers. One module each; `workers.py` says what they owe."""
