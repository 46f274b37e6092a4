"""Nights: keeping the sets' estimates fresh while nobody looks.

    target.py        who is asked: the newest checkpoint, or the endpoint
    staleness.py     which prompts' estimates are stale, why, and in which order they matter
    reestimation.py  asking the stale prompts again within a budget and a deadline
    guesses.py       the same for guesses without reasoning
    drift.py         what moved: a prompt's rate, a version against the one before
    hours.py         when a night begins, ends, and was missed
    shift.py         a whole night: ask again, cut new versions, compare, promote or block

Does not belong here: schedules and sensors (`assets/`), drawing samples (`inference/`), cutting versions (`curation/`).
"""
