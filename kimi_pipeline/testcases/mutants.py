"""Mutants: small wrong changes to right Python programs, to measure what a suite notices.

Belongs here: the changes, and a draw of them by seed. Does not belong here: running them (`power.py`).

Each mutant is one change at one place: a comparison made strict or loose or reversed, an operator exchanged, a number moved
by one, a bound of `range` moved, `min` and `max` or `and` and `or` exchanged, a statement left out.
"""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kimi_pipeline.corpora.coding_problem import Program
from kimi_pipeline.digests import digest

MUTANT = "mutant"

Change = Callable[[Any], Any]

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A changed program, the submission it came from, and the change in words."""

    program: Program
    origin: str
    change: str


def mutants_of(program: Program) -> list[Mutant]:
    """Every single change of a Python program, each a program of its own; none where it is not Python."""
    if program.language != "python":
        return []
    tree = ast.parse(program.source)
    plain = ast.unparse(tree)
    found: dict[str, Mutant] = {}
    for place, node in enumerate(ast.walk(tree)):
        for change, apply in _changes(node):
            changed = copy.deepcopy(tree)
            apply(list(ast.walk(changed))[place])
            try:
                source = ast.unparse(ast.fix_missing_locations(changed)) + "\n"
                ast.parse(source)
            except (SyntaxError, ValueError):
                continue
            if source.strip() != plain.strip() and source not in found:
                line = getattr(node, "lineno", 0)
                told = f"{program.name or program.submission_id[:8]}:{line}: {change}"
                made = Program(program.language, source, f"{MUTANT}: {told}")
                found[source] = Mutant(made, program.submission_id, told)
    return list(found.values())


def draw_mutants(programs: Sequence[Program], count: int, seed: int, problem_id: str) -> list[Mutant]:
    """`count` mutants of these programs by seed, in turns from program to program so that none dominates."""
    rng = random.Random(digest([seed, "mutants", problem_id]))
    pools = [mutants_of(program) for program in sorted(programs, key=lambda one: one.submission_id)]
    for pool in pools:
        rng.shuffle(pool)
    drawn: dict[str, Mutant] = {}
    while len(drawn) < count and any(pools):
        for pool in pools:
            if pool and len(drawn) < count:
                one = pool.pop()
                drawn.setdefault(one.program.submission_id, one)
    return list(drawn.values())


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in _COMPARISONS.get(type(node.ops[0]), ()):
            yield f"{type(node.ops[0]).__name__} -> {other.__name__}", _set("ops", [other()])
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _OPERATORS:
        other_op = _OPERATORS[type(node.op)]
        yield f"{type(node.op).__name__} -> {other_op.__name__}", _set("op", other_op())
    elif isinstance(node, ast.BoolOp):
        turned = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield f"{type(node.op).__name__} -> {turned.__name__}", _set("op", turned())
    elif isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) < 1000:
        for step in (1, -1):
            moved = node.value + step
            yield f"{node.value} -> {moved}", _set("value", moved)
    elif isinstance(node, ast.Name) and node.id in _NAMES and isinstance(node.ctx, ast.Load):
        yield f"{node.id} -> {_NAMES[node.id]}", _set("id", _NAMES[node.id])
    elif isinstance(node, ast.If | ast.While | ast.For | ast.FunctionDef) and len(node.body) > 1:
        for number in range(len(node.body)):
            if isinstance(node.body[number], ast.Assign | ast.AugAssign | ast.Expr | ast.Break | ast.Continue):
                yield f"leaves out line {node.body[number].lineno}", _leave_out(number)


def _set(name: str, value: Any) -> Change:
    return lambda node: setattr(node, name, value)


def _leave_out(number: int) -> Change:
    return lambda node: node.body.pop(number)
