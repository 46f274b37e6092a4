"""What is materialised: the lineage of `kimi_pipeline/lineage.py` as Dagster assets, checks, jobs and partitions.

    definitions.py  what workspace.yaml loads
    factory.py      one asset a stage           checks.py      what blocks the stages after
    run_config.py   what the Launchpad offers   partitions.py  the named prompt sets
    shown.py        an outcome as metadata      jobs.py        the jobs people start by name
    work.py         a stage's context           launch.py      a run from the terminal
    nights.py       the night shift             incidents.py   what goes out as a message
    automation.py   what asks for its own work  ui.py          the UI and its daemon
    maintenance.py  the weekly tidying          reports.py     a version's page, linked from its asset
    nights_bench.py the process of bench nights

Does not belong here: any method of the report (`kimi_pipeline/`), any engine (`resources/`).
"""
