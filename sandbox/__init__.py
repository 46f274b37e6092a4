"""sandbox: runs untrusted programs, and knows nothing of the pipeline.

A library of its own: the standard library and docker-py are all it needs. The map, from the door down:

    __init__       the door: `open()` gives a Sandbox, `run()` runs one submission
    runner         submissions in, verdicts out; retries on a fresh worker
    pool           warm workers, each for one submission
    backends       what makes workers: docker, bubblewrap. There is no third, unsafe one
    workers        what a worker and a backend are, and how one is greeted
    languages      the table of languages (languages.toml)
    verdicts, frames, errors: what all of them use

    agent, zygote, meter, cleaning: the programs inside a worker. They travel there as text (`bundle`) and need
    nothing but the worker's own Python
"""
