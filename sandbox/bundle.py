"""The agent's text on its way into a worker.

Belongs here: packing the modules that run inside, and the one-line bootstrap that unpacks them there. Does not belong
here: what they do.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

INSIDE = ("frames", "meter", "cleaning", "zygote", "watch", "agent")
"""The modules that run inside a worker. They import one another and the standard library, nothing else."""

BOOTSTRAP = """
import os, resource, sys
soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
most = 1 << 30 if hard == -1 else min(hard, 1 << 30)
if soft != -1 and soft < most:
    resource.setrlimit(resource.RLIMIT_STACK, (most, hard))
    os.execv(sys.executable, sys.orig_argv)
def exactly(size, got=b""):
    while len(got) < size:
        got += os.read(0, size - len(got)) or sys.exit(0)
    return got
exec(compile(exactly(int(exactly(12))), "agent", "exec"))
"""
"""Reads twelve digits of length and so many bytes from stdin, unbuffered, and runs them; frames follow.

The stack limit must be high when the interpreter starts: the kernel lays out memory by it, and programs that the zygote
forks keep that layout."""

_LOADER = """
import importlib.abc, importlib.util, json, sys, types
class _Texts(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, texts): self.texts = texts
    def find_spec(self, name, path=None, target=None):
        if name == "sandbox" or name.removeprefix("sandbox.") in self.texts and name.startswith("sandbox."):
            return importlib.util.spec_from_loader(name, self, is_package=name == "sandbox")
    def exec_module(self, module):
        text = self.texts.get(module.__name__.removeprefix("sandbox."), "")
        exec(compile(text, module.__name__, "exec"), module.__dict__)
sys.meta_path.insert(0, _Texts(json.loads(TEXTS)))
import sandbox.agent
sandbox.agent.main()
"""


@cache
def agent_text() -> bytes:
    """What is sent first to a worker's stdin: length, then a program that holds all of `INSIDE`."""
    folder = Path(__file__).parent
    texts = {name: (folder / f"{name}.py").read_text() for name in INSIDE}
    program = f"TEXTS = {json.dumps(texts)!r}\n{_LOADER}".encode()
    return b"%012d" % len(program) + program
