"""Runs inside the sandbox, ahead of a validator: reads one input strictly, and ends with an error where it is not as stated.

Numbers are separated by single spaces, have no leading zeros or plus, and nothing follows the last line.
"""

import sys

_lines = sys.stdin.buffer.read().decode("ascii").split("\n")
_read: list[str] = []


def check(holds: bool, what: str = "a stated bound does not hold") -> None:
    if not holds:
        sys.exit(f"line {len(_read)}: {what}")


def line() -> str:
    check(len(_read) < len(_lines), "the input ends too early")
    _read.append(_lines[len(_read)])
    return _read[-1]


def ints_of(count: int) -> list[int]:
    words = line().split(" ")
    if count == 0 and words == [""]:
        return []
    check(len(words) == count, f"{len(words)} words, not {count}")
    for word in words:
        digits = word.removeprefix("-")
        check(digits.isdigit() and (digits == "0" or digits[0] != "0") and word != "-0", f"{word[:20]!r} is no integer")
    return [int(word) for word in words]


def ints(count: int, low: int, high: int) -> list[int]:
    numbers = ints_of(count)
    check(all(low <= number <= high for number in numbers), f"a number is not between {low} and {high}")
    return numbers


def word(alphabet: str, low: int, high: int) -> str:
    text = line()
    check(low <= len(text) <= high, f"{len(text)} characters, not {low} to {high}")
    check(set(text) <= set(alphabet), "a character that is not allowed")
    return text


def end() -> None:
    check(_lines[len(_read) :] in ([], [""]), "more lines than stated")
