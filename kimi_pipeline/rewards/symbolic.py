"""Algebra: whether two formulas are the same, by math-verify's parser and sympy. Runs in a worker only (`worker.py`).

Belongs here: parsing a formula, and deciding by numbers and by simplification. Does not belong here: deadlines, memory
(`worker.py`, `pool.py`), lists and numbers (`rules.py`).

math-verify answers False for "different", for "could not read" and for "gave up"; here the three are kept apart. True
comes from equality of the trees, from equal values at random points to 50 digits, or from sympy's simplification; False
only from values that differ. Whatever the parser would pass over in silence (primes, number bases, digits side by side,
words) is not handed to it.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from fractions import Fraction
from typing import Any, TypeAlias

from latex2sympy2_extended.latex2sympy2 import ConversionConfig, latex2sympy
from latex2sympy2_extended.math_normalization import NormalizationConfig, normalize_latex
from math_verify.grader import is_relation, should_treat_as_complex, sympy_expr_eq
from sympy import (
    Add,
    And,
    Basic,
    Eq,
    Expr,
    Float,
    I,
    MatrixBase,
    Mul,
    Pow,
    Rational,
    Set,
    Symbol,
    Tuple,
    binomial,
    default_sort_key,
    factorial,
    gamma,
    preorder_traversal,
    simplify,
)
from sympy.core.relational import Relational
from sympy.logic.boolalg import Boolean

from kimi_pipeline.rewards.numbers import Quantity, clean, number, rounds_to, without_spaces
from kimi_pipeline.rewards.rules import hard

Parsed: TypeAlias = Basic | MatrixBase

DIGITS = 50  # of an evaluation
MOST_DIGITS = 20_000  # of a number that is worked out
MOST_FACTORS = 200  # of a power of a sum with variables
CLOSE = Rational(1, 10**30)  # relative difference below which two values of 50 digits are one
APART = Rational(1, 10**9)  # and above which they are two
# Values for variables: some positive, some with negative ones, where roots and logarithms leave the real line.
_POSITIVE = [Rational(n, d) for n, d in ((7, 5), (31, 13), (23, 29), (57, 11), (17, 19), (41, 9), (3, 31), (11, 7))]
_SIGNED = [value if place % 2 else -value for place, value in enumerate(_POSITIVE)]

_NORMALIZATION = NormalizationConfig(
    basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
)
_CONVERSION = ConversionConfig(lowercase_symbols=False)
_DECIMAL = re.compile(r"(?<![\d.])(\d*)\.(\d+)(?![\d.])")
_BASE = re.compile(r"(\w+)_\{?(\d+)\}?")
# What the parser reads as something else or not at all.
_MISREAD = re.compile(
    r"\d\s+\d|'|\\prime|\d_|\\(?:text|mbox|mathrm|textbf|mathbf|textit)\s*\{[^{}]*[^{}\s]{2}[^{}]*\}|\\\\"
    r"|\\[lc]?dots|\.\.\.|…|\\(?:sum|prod|int|lim|iint|oint|frac\{d)(?![a-zA-Z])|(?<![\\a-zA-Z])[a-zA-Z]{4,}|[?\"#&]|!!"
)
_FUNCTIONS = re.compile(r"(?<![\\a-zA-Z])(sin|cos|tan|cot|sec|csc|log|ln|exp|pi|theta|alpha|beta|infty)(?![a-zA-Z])")
_LOGARITHM = re.compile(r"\\log ?_ ?\{?(\w+)\}? ?")
_SCIENTIFIC = re.compile(r"-?\d(?:\.\d+)?(?:×|\\times|\\cdot)10\^(?:\d|\{-?\d+\})")
_ROOT = re.compile(r"(?<![\\a-zA-Z])sqrt\s*\(([^()]*)\)|√\s*\(([^()]*)\)|√\s*(\d+|[a-zA-Z])")
_CHARACTERS = {
    "π": "\\pi ", "∞": "\\infty ", "×": "\\times ", "·": "\\cdot ", "÷": "\\div ", "≤": "\\le ", "≥": "\\ge ",
    "≠": "\\ne ", "θ": "\\theta ", "α": "\\alpha ", "β": "\\beta ", "∪": "\\cup ", "°": "^\\circ ", "**": "^",
    "$": "", "\\dfrac": "\\frac", "\\tfrac": "\\frac", "\\mathrm{i}": "i", "\\displaystyle": "",
}  # fmt: skip
_SUM_OF_NUMBERS = re.compile(r"[\d)}]\s*(?:[-+*/×·÷]|\\cdot|\\times|\\div)\s*[-\d({\\]")
_PLAIN_COMMANDS = re.compile(r"\\(?:frac|dfrac|tfrac|cdot|times|div|left|right)(?![a-zA-Z])")


FIRST_PAIRS = (
    ("\\frac{3\\sqrt{2}}{2}+1", "2x^2-3x+\\pi"),
    ("(a+2)(a-2)", "a^2-4"),
    ("\\sqrt{x^2}", "x"),
    ("x=3", "y=2x"),
    ("(-\\infty, 2) \\cup [3, 4]", "\\{1, 2\\}"),
    ("3-2i", "\\log_{3} 5"),
)
"""Of several kinds: what a parser has read and algebra has compared once, it reads and compares faster."""


class UnreadableError(ValueError):
    """The parser does not read a formula, or would read another one."""


class TooLargeError(MemoryError):
    """A number with more digits than anybody writes would have to be worked out."""


def too_large(tree: Parsed) -> bool:
    """Whether a tree, not yet evaluated, holds a power, factorial or binomial of more than about `MOST_DIGITS` digits."""
    try:
        return any(_digits(node) > MOST_DIGITS for node in preorder_traversal(tree))
    except OverflowError:
        return True


def _digits(node: Any) -> float:
    """About how many digits the value of a power or factorial of plain numbers has; 0 for what is none."""
    if isinstance(node, Pow) and not node.exp.free_symbols and (node.base.is_number or isinstance(node.base, Add)):
        exponent = abs(_size(node.exp))
        if node.base.free_symbols:
            return 0.0 if exponent <= MOST_FACTORS else math.inf  # expanding (x+y)^3000
        return exponent * max(1.0, abs(math.log10(max(_size(node.base), 1e-300)))) if exponent > 1000 else exponent
    if isinstance(node, factorial | binomial | gamma) and node.args and not node.args[0].free_symbols:
        value = _size(node.args[0])
        return value * max(1.0, math.log10(max(value, 1.0))) if value > 1000 else 0.0
    return 0.0


def _size(tree: Any) -> float:
    """About the absolute value of a tree of plain numbers; inf beyond what a float holds. Works nothing out exactly."""
    if isinstance(tree, Rational | Float):
        return abs(float(tree)) if abs(tree.p if isinstance(tree, Rational) else 1) < 10**300 else math.inf
    if isinstance(tree, Pow):
        base, exponent = _size(tree.base), _size(tree.exp)
        if exponent == math.inf or base == math.inf:
            return math.inf
        return math.inf if exponent * math.log10(max(base, 1.0)) > 300 else base**exponent
    if isinstance(tree, factorial | gamma):
        value = _size(tree.args[0])
        return math.inf if value > 150 else math.gamma(value + 1)
    if isinstance(tree, Mul):
        return math.prod(_size(part) for part in tree.args)
    if isinstance(tree, Add):
        return sum(_size(part) for part in tree.args)
    if not tree.args:
        return 3.0  # pi, e and their like
    return max(_size(part) for part in tree.args)


@functools.lru_cache(maxsize=512)
def parsed(text: str) -> Parsed:
    """The formula as sympy's tree, decimals as exact fractions. Raises UnreadableError."""
    latex = _latex(text)
    if not latex or _MISREAD.search(latex):
        raise UnreadableError(text[:80])
    try:
        found = latex2sympy(
            normalize_latex(latex, _NORMALIZATION),
            is_real=not should_treat_as_complex(latex),
            convert_degrees=True,
            normalization_config=None,
            conversion_config=_CONVERSION,
        )
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # the parser raises bare Exception, and sympy whatever it likes
        raise UnreadableError(str(error)[:80]) from error
    if not isinstance(found, Basic | MatrixBase):
        raise UnreadableError(text[:80])
    units = {symbol: I for symbol in found.free_symbols if symbol.name == "i"}
    return found.xreplace(units) if units else found


def _latex(text: str) -> str:
    text = clean(text)
    for character, latex in _CHARACTERS.items():
        text = text.replace(character, latex)
    while (rooted := _ROOT.sub(lambda found: "\\sqrt{" + (found[1] or found[2] or found[3] or "") + "}", text)) != text:
        text = rooted
    text = _FUNCTIONS.sub(r"\\\1 ", text)
    text = _LOGARITHM.sub(lambda found: "\\ln " if found[1] == "e" else f"\\log_{{{found[1]}}} ", text)
    return _DECIMAL.sub(lambda found: f"\\frac{{{int(found[1] + found[2])}}}{{{10 ** len(found[2])}}}", text).strip()


def same(reference: str, answer: str) -> bool | None:
    """A `Scalar` for `rules.same_answer`: both texts single values, at least one of them a formula.

    Raises MemoryError (also for a value that would have millions of digits) and RecursionError: the caller's to count.
    """
    bases = _BASE.fullmatch(clean(reference)), _BASE.fullmatch(clean(answer))
    if any(bases) and (verdict := _based(bases[0], bases[1])) is not None:
        return verdict
    try:
        left, right = parsed(reference), parsed(answer)
    except UnreadableError:
        return None
    if left != right and (too_large(left) or too_large(right)):
        raise TooLargeError
    if is_relation(left) or is_relation(right) or not (isinstance(left, Expr) and isinstance(right, Expr)):
        return _same_by_structure(left, right)
    verdict = _same_values(left, right, reference, answer)
    if verdict and (_unevaluated(reference, answer) or _unevaluated(answer, reference)):
        return None  # 3 + 4 for 7 is the task again, no answer
    if verdict is False and _degrees_alone(reference) != _degrees_alone(answer):
        return None  # degrees left out
    return verdict


def _degrees_alone(text: str) -> bool:
    """An angle in degrees that no function is taken of."""
    latex = _latex(text)
    return "\\circ" in latex and not re.search(r"\\(?:sin|cos|tan|cot|sec|csc)", latex)


def _based(left: re.Match[str] | None, right: re.Match[str] | None) -> bool | None:
    """Numbers with a base below them; None where these are variables with an index or bases too large to read."""
    if left and right and left[1][0].isdigit() and right[1][0].isdigit():
        try:
            return int(left[1], int(left[2])) == int(right[1], int(right[2]))
        except ValueError:
            return None
    return None


def _unevaluated(plain: str, other: str) -> bool:
    """Whether one text is a plain number and the other a sum or product of plain numbers still to be worked out."""
    text = _PLAIN_COMMANDS.sub(lambda found: found[0] if "frac" not in found[0] else " ", clean(other))
    rest = _PLAIN_COMMANDS.sub(" ", clean(other))
    return (
        number(plain) is not None
        and number(other) is None
        and not _SCIENTIFIC.fullmatch(without_spaces(clean(other)))
        and not re.search(r"[a-zA-Z\\√π]", rest)
        and bool(_SUM_OF_NUMBERS.search(text))
    )


def _same_by_structure(left: Parsed, right: Parsed) -> bool | None:
    """Relations, sets and what else is no expression: math-verify's True counts, its False does not. Relations of one
    variable are the sets that they describe."""
    sets = _as_set(left), _as_set(right)
    if sets[0] is not None and sets[1] is not None and left.free_symbols | right.free_symbols <= _one(left, right):
        return _same_sets(sets[0], sets[1])
    if isinstance(left, Set | Tuple) != isinstance(right, Set | Tuple) and not (
        is_relation(left) or is_relation(right)
    ):
        return None
    if isinstance(left, Boolean) and isinstance(right, Boolean) and left == right:
        return True
    return True if sympy_expr_eq(left, right, 9, 30, allow_set_relation_comp=True) else None


def _one(left: Parsed, right: Parsed) -> set[Any]:
    """The variable that two relations are about, where it is one and the same."""
    names = {name for one in (left, right) if not isinstance(one, Set) for name in one.free_symbols}
    return names if len(names) <= 1 else set()


def _as_set(parsed_text: Parsed) -> Any:
    """The set of reals that a set or a relation of one variable is; None for anything else."""
    if isinstance(parsed_text, Set):
        return parsed_text if not parsed_text.free_symbols else None
    if (
        not isinstance(parsed_text, Relational | And)
        or isinstance(parsed_text, Eq)
        or len(parsed_text.free_symbols) != 1
    ):
        return None
    try:
        return parsed_text.as_set()
    except (MemoryError, RecursionError):
        raise
    except Exception:
        return None


def _same_sets(left: Any, right: Any) -> bool | None:
    if left == right:
        return True
    empty: bool | None = left.symmetric_difference(right).is_empty
    return empty


def _same_values(left: Expr, right: Expr, reference: str, answer: str) -> bool | None:
    if left == right:
        return True
    mine, other = left.free_symbols, right.free_symbols
    if not mine and not other:
        return _same_constants(left, right, reference, answer)
    names = sorted(mine | other, key=default_sort_key)
    if mine != other and len(mine) == len(other) and _under_other_names(left, right):
        return None  # 2t for 2x, or C for c: the same but for names
    if mine != other and (not mine or not other) and _maybe_unit(right if other else left, left if other else right):
        return None
    positive = _at_points(left, right, names, _POSITIVE)
    signed = _at_points(left, right, names, _SIGNED)
    if positive is False:
        return False
    if positive and signed:
        return True
    return True if (positive is not False and _simplifies(left, right)) else None


def _same_constants(left: Expr, right: Expr, reference: str, answer: str) -> bool | None:
    if left.is_infinite or right.is_infinite:
        return bool(left == right)
    if not (left.is_number and right.is_number):
        return None
    # Two fractions that are not equal differ, however close they are.
    verdict = False if left.is_Rational and right.is_Rational else _close(left, right)
    if verdict:
        return True
    for exact, text, rounded in ((left, reference, answer), (right, answer, reference)):
        plain, decimal = number(text), number(rounded)
        if decimal is None or (plain is not None and plain.places is not None):
            continue
        value = exact if exact.is_Rational else exact.evalf(DIGITS)
        if value.is_real and rounds_to(Quantity(_fraction(value)), decimal):
            return True
    return verdict


def _fraction(value: Any) -> Fraction:
    exact = Rational(value)
    return Fraction(int(exact.p), int(exact.q))


def _maybe_unit(formula: Expr, value: Expr) -> bool:
    """5m for 5: the letter may be a unit."""
    rest = formula / value if value != 0 else formula
    return isinstance(rest, Symbol) and str(rest) in ("m", "g", "s", "h", "L", "l", "t", "a", "N", "J", "W", "V", "K")


def _under_other_names(left: Expr, right: Expr) -> bool:
    mine, other = (sorted(one.free_symbols, key=default_sort_key) for one in (left, right))
    if len(mine) > 3:
        return True
    return any(
        _at_points(left, right.xreplace(dict(zip(order, mine, strict=True))), mine, _POSITIVE)
        for order in itertools.permutations(other)
    )


def _at_points(left: Expr, right: Expr, names: list[Any], values: list[Rational]) -> bool | None:
    """Whether two formulas have the same values at three points; None where they have none there."""
    found = []
    for turn in range(3):
        point = {name: values[(turn * 3 + place) % len(values)] for place, name in enumerate(names)}
        verdict = _close(left.xreplace(point), right.xreplace(point))
        if verdict is False:
            return False
        found.append(verdict)
    return None if None in found else True


def _close(left: Expr, right: Expr) -> bool | None:
    """Whether two constants are one number; None where that can't be computed or is between the two limits."""
    try:
        one, other = left.doit().evalf(DIGITS), right.doit().evalf(DIGITS)
        if not (_is_value(one) and _is_value(other)):
            return None
        difference, size = abs(one - other).evalf(DIGITS), max(abs(one), abs(other))
    except (MemoryError, RecursionError):
        raise
    except Exception:  # sympy raises a great many kinds where a value does not exist
        return None
    if difference <= CLOSE * size:
        return True
    return False if difference > APART * size else None


def _is_value(value: Any) -> bool:
    real, imaginary = value.as_real_imag()
    return all(isinstance(part, Float | Rational) and bool(part.is_finite) for part in (real, imaginary))


def _simplifies(left: Expr, right: Expr) -> bool:
    try:
        return bool(simplify(left - right) == 0)
    except (MemoryError, RecursionError):
        raise
    except Exception:
        return False


def require_bounded(reference: str) -> None:
    """Raises MemoryError or RecursionError for a reference that nothing can be held against."""
    if not hard(clean(reference)):
        return
    try:
        tree = parsed(reference)
    except UnreadableError:
        return
    if too_large(tree):
        raise TooLargeError


def warm() -> None:
    """Let the parser build its tables and sympy import what it simplifies with, before the first task is timed."""
    for reference, answer in FIRST_PAIRS:
        same(reference, answer)
    parsed.cache_clear()
