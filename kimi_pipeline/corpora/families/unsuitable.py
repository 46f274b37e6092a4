"""Questions that are no use as RL prompts: multiple choice, true or false, proofs [2.1].

Belongs here: hand-written and templated questions of the three kinds. Does not belong here: recognising them
(`curation/`).
"""

from __future__ import annotations

from random import Random
from typing import Any

MULTIPLE_CHOICE: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("Which planet is closest to the Sun?", ("Venus", "Mercury", "Mars", "Earth"), "B"),
    ("What is the value of 7 * 8?", ("54", "56", "58", "63"), "B"),
    ("Which of the following numbers is prime?", ("21", "27", "31", "39"), "C"),
    ("A train covers 120 km in 2 hours. What is its average speed?", ("40 km/h", "50 km/h", "60 km/h", "80 km/h"), "C"),
    ("Which gas do plants take up for photosynthesis?", ("Oxygen", "Nitrogen", "Carbon dioxide", "Hydrogen"), "C"),
    ("What is the derivative of x^2?", ("x", "2x", "x^2", "2"), "B"),
    ("Which shape has exactly three sides?", ("Square", "Triangle", "Circle", "Hexagon"), "B"),
    ("How many degrees are in a right angle?", ("45", "60", "90", "180"), "C"),
    ("Which word is the opposite of early?", ("Late", "Soon", "Fast", "First"), "A"),
    ("What is the next number in 2, 4, 8, 16?", ("18", "24", "30", "32"), "D"),
    ("Which data structure is first in, first out?", ("Stack", "Queue", "Tree", "Graph"), "B"),
    ("If all bloops are razzies and all razzies are lazzies, what are all bloops?", ("Lazzies", "Lions", "None"), "A"),
    ("Which fraction is the largest?", ("1/2", "2/3", "3/5", "5/8"), "B"),
    ("What is the perimeter of a square with side 5?", ("10", "15", "20", "25"), "C"),
)

TRUE_FALSE: tuple[tuple[str, str], ...] = (
    ("True or false: the sum of two even numbers is always even.", "True"),
    ("True or False? Every prime number is odd.", "False"),
    ("Is it true or false that 0 is a natural number smaller than 1?", "True"),
    ("Decide whether the following statement is true or false: a square is a rectangle.", "True"),
    ("State whether this is true or false: 2^10 is greater than 1000.", "True"),
    ("True or false: if all cats are animals, then all animals are cats.", "False"),
    ("Answer true or false: the number 91 is prime.", "False"),
    ("Is 51 divisible by 3? Answer yes or no.", "Yes"),
    ("Yes or no: does every triangle have an angle of at least 60 degrees?", "Yes"),
    ("Does a leap year have 366 days? Answer with yes or no.", "Yes"),
    ("True/False: the product of two negative numbers is negative.", "False"),
    ("Determine if the claim is true or false: 1/3 is equal to 0.33.", "False"),
    ('Is the statement "some primes are even" true or false?', "True"),
)

PROOFS: tuple[tuple[str, str], ...] = (
    ("Prove that the square root of 2 is irrational.", "Suppose it is p/q in lowest terms; then both are even."),
    ("Show that the sum of the first n odd numbers is n^2.", "By induction: n^2 + 2n + 1 = (n + 1)^2."),
    ("Prove that there are infinitely many prime numbers.", "The product of all primes plus one has a new factor."),
    ("Give a proof that the sum of two even numbers is even.", "2a + 2b = 2(a + b)."),
    ("Show that n^3 - n is divisible by 6 for every integer n.", "It is a product of three neighbours."),
    ("Prove or disprove: every continuous function is differentiable.", "The absolute value at 0 disproves it."),
    ("Prove by induction that 1 + 2 + ... + n = n(n + 1)/2.", "Add n + 1 to both sides."),
    ("Demonstrate that the angles of a triangle add up to 180 degrees.", "Draw a parallel through a corner."),
    ("Let a and b be odd. Prove that a * b is odd.", "(2m + 1)(2n + 1) = 2(2mn + m + n) + 1."),
    ("Show that among any three integers two have an even sum.", "Two of them have the same parity."),
    ("Prove the inequality (a + b)/2 >= sqrt(a b) for a, b >= 0.", "(sqrt(a) - sqrt(b))^2 >= 0."),
    ("Verify that the function f(x) = 2x + 3 is injective, and prove your claim.", "2x + 3 = 2y + 3 gives x = y."),
    ("Show that if n^2 is even, then n is even.", "An odd n has an odd square."),
)


def multiple_choice_row(index: int, rng: Random) -> dict[str, Any]:
    """Hand-written ones first, then templated; the options are a field, or in the text in one of three layouts."""
    if index < len(MULTIPLE_CHOICE):
        question, options, answer = MULTIPLE_CHOICE[index]
    else:
        question, options, answer = _templated_choice(rng)
    layout = index % 4
    if layout == 0:
        return {"prompt": question, "options": list(options), "answer": answer}
    letters = "ABCDE"[: len(options)]
    if layout == 1:
        choices = "\n".join(f"({letter}) {option}" for letter, option in zip(letters, options, strict=True))
    elif layout == 2:
        choices = "\n".join(f"{letter}. {option}" for letter, option in zip(letters, options, strict=True))
    else:
        choices = "  ".join(f"{letter}) {option}" for letter, option in zip(letters, options, strict=True))
    return {"prompt": f"{question}\n{choices}", "options": None, "answer": answer}


def _templated_choice(rng: Random) -> tuple[str, tuple[str, ...], str]:
    one, other = rng.randrange(10, 100), rng.randrange(10, 100)
    wrong = [one + other + shift for shift in rng.sample([-11, -10, -2, -1, 1, 2, 9, 10, 11], 3)]
    options = [*wrong, one + other]
    rng.shuffle(options)
    answer = "ABCD"[options.index(one + other)]
    return f"What is {one} + {other}?", tuple(str(option) for option in options), answer


def true_false_row(index: int, rng: Random) -> dict[str, Any]:
    """Hand-written ones first, then templated statements about multiples and sums."""
    if index < len(TRUE_FALSE):
        prompt, answer = TRUE_FALSE[index]
        return {"prompt": prompt, "options": None, "answer": answer}
    number, factor = rng.randrange(100, 1000), rng.randrange(2, 10)
    opening = rng.choice(("True or false:", "Is it true or false that", "Decide if this is true or false:"))
    end = "?" if opening.startswith("Is") else "."
    prompt = f"{opening} {number} is a multiple of {factor}{end}"
    return {"prompt": prompt, "options": None, "answer": str(number % factor == 0)}


def proof_row(index: int, rng: Random) -> dict[str, Any]:
    """Hand-written ones first, then templated claims about divisibility. The answer is the proof's text."""
    if index < len(PROOFS):
        prompt, answer = PROOFS[index]
        return {"prompt": prompt, "options": None, "answer": answer}
    factor, shift = rng.randrange(2, 100), rng.randrange(1, 100)
    opening = rng.choice(("Prove that", "Show that", "Give a proof that"))
    prompt = f"{opening} {factor * 2}n + {shift * factor} is divisible by {factor} for every integer n."
    return {"prompt": prompt, "options": None, "answer": f"It is {factor} times (2n + {shift})."}
