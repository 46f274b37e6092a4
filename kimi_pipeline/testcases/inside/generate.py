"""Runs inside the sandbox, ahead of a generator: one process a case, and the same case from the same seed.

The first line of the input is a case: {"seed", "stratum", "number"}. A generator finds `STRATUM` and `NUMBER`, and prints
one input. Seeded are `random` and with it CYaRon; CYaRon's strings from regular expressions come from xeger, which takes a
generator of its own from the system: it is given a seeded one. (PYTHONHASHSEED is fixed by the sandbox.)
"""

import importlib
import json
import random
import sys


def run_generator(source: str) -> None:
    case = json.loads(sys.stdin.readline())
    random.seed(case["seed"])
    strings = random.Random(case["seed"] + ":xeger")
    try:
        strings_from_patterns = importlib.import_module("xeger.xeger")
    except ImportError:
        pass
    else:
        vars(strings_from_patterns)["Random"] = lambda: random.Random(strings.getrandbits(64))
        random.seed(case["seed"])
    names = {"__name__": "__main__", "STRATUM": case["stratum"], "NUMBER": case["number"]}
    exec(compile(source, "generator.py", "exec"), names)
