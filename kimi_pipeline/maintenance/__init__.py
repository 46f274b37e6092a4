"""Maintenance of a home that runs for years: what lies on the disk, what may go, older schemas brought up to date.

`pins.py` says which old table versions must stay readable, `storage.py` what every table takes and what tidying would free,
`tidying.py` merges small files and removes what nothing names, `merging.py` merges the versions of prompt sets, `migration.py`
brings tables of older releases up to date.
Dagster's own store is pruned in `resources/pruning.py`.
"""
