"""Planted problems: word problems and formulas with drawn numbers, their rewordings, and copies with other numbers.

Belongs here: texts whose truth is known by construction. Does not belong here: measurements (`planted_curation.py`,
`curation.py`).
"""

from __future__ import annotations

import random
import re

NAMES = [
    "Anna",
    "Ben",
    "Carla",
    "David",
    "Emma",
    "Felix",
    "Grace",
    "Henry",
    "Ida",
    "Jonas",
    "Klara",
    "Leo",
    "Mona",
    "Nils",
    "Olga",
    "Paul",
]
THINGS = ["apples", "pears", "stamps", "marbles", "pencils", "tickets", "bottles", "coins", "cards", "shells"]
TEMPLATES = (
    "{a} has {p} {x} and buys {q} boxes with {r} {x} each. After a week {a} gives {s} {x} to {b}. "
    "How many {x} does {a} have now?",
    "A train leaves the station at a speed of {p} kilometers per hour. After {q} hours it slows to {r} kilometers per hour "
    "and travels for another {s} hours. What total distance does the train cover during the whole journey?",
    "{a} and {b} share the cost of a dinner. The food costs ${p} and the drinks cost ${q}. They also leave a tip of {r} percent. "
    "If {a} pays ${s} of the bill, how much does {b} pay?",
    "Let $f(x) = {p}x^2 - {q}x + {r}$. Find the value of $\\frac{{f({s})}}{{{t}}}$ and give the answer as a reduced fraction.",
    "The sides of a rectangle measure ${p}$ and ${q}$ centimeters. A square with side ${r}$ is cut from one corner. What is the "
    "area of the remaining figure when every length is multiplied by ${s}$?",
    "In a school there are {p} classes with {q} pupils each. {r} percent of the pupils play the piano, and {s} of those play "
    "the violin as well. How many pupils play the piano but no violin?",
    "Suppose that $x + y = {p}$ and $x \\cdot y = {q}$ for real numbers $x$ and $y$. Determine $x^{r} + y^{r} + {s}$ exactly.",
)  # fmt: skip
SYNONYMS = {
    "has": "owns", "buys": "purchases", "gives": "hands", "speed": "velocity", "station": "depot", "travels": "goes",
    "total": "entire", "cover": "make", "journey": "trip", "share": "split", "cost": "price", "dinner": "meal",
    "pays": "contributes", "value": "amount", "answer": "result", "reduced": "simplified", "measure": "have", "cut": "taken",
    "remaining": "leftover", "figure": "shape", "school": "college", "pupils": "students", "play": "practise",
    "suppose": "assume",
    "determine": "compute", "exactly": "precisely", "week": "while", "boxes": "packs", "leave": "add", "every": "each",
}  # fmt: skip


def problems(count: int, rng: random.Random) -> list[str]:
    """Different problems, of the templates in turn."""
    texts: dict[str, None] = {}
    while len(texts) < count:
        a, b = rng.sample(NAMES, 2)
        drawn = {name: rng.randrange(2, 500) for name in "pqrst"}
        texts[TEMPLATES[len(texts) % len(TEMPLATES)].format(a=a, b=b, x=rng.choice(THINGS), **drawn)] = None
    return list(texts)


def reworded(text: str, kind: str, rng: random.Random) -> str:
    """The same problem: `words` replaces a few words, `swapped` exchanges neighbours, `reordered` moves sentences,
    `latex` writes formulas in another style. Numbers stay as they are."""
    if kind == "words":
        words = text.split(" ")
        known = [k for k, word in enumerate(words) if word.lower() in SYNONYMS]
        for k in rng.sample(known, min(3, len(known))):
            words[k] = SYNONYMS[words[k].lower()]
        return " ".join(words) if known else reworded(text, "swapped", rng)
    if kind == "swapped":
        words = text.split(" ")
        for _ in range(2):
            k = rng.randrange(len(words) - 1)
            if not re.search(r"[\d$]", words[k] + words[k + 1]):
                words[k], words[k + 1] = words[k + 1], words[k]
        return " ".join(words)
    if kind == "reordered":
        sentences = re.split(r"(?<=[.?]) ", text)
        if len(sentences) > 2:
            sentences[0], sentences[1] = sentences[1], sentences[0]
            return " ".join(sentences)
        first, _, rest = text.rstrip(".?").partition(" ")
        half = rest.split(" and ", 1)
        return f"{half[-1]} {first} {half[0]}" if len(half) > 1 else reworded(text, "swapped", rng)
    restyled = re.sub(r"\$([^$]*[a-z\\][^$]*)\$", r"\\( \1 \\)", text)
    for old, new in (("\\frac", "\\dfrac"), ("\\cdot", "\\times"), (" + ", "+"), (" = ", "="), ("percent", "%")):
        restyled = restyled.replace(old, new)
    return restyled.replace(". ", ".\n\n") + " "


def other_numbers(text: str, rng: random.Random) -> str:
    """The same words with some of the numbers drawn anew, or two of them exchanged."""
    found = list(re.finditer(r"\d+", text))
    values = [each.group() for each in found]
    if rng.random() < 0.3 and len(set(values)) > 1:
        one, other = rng.sample(range(len(values)), 2)
        while values[one] == values[other]:
            one, other = rng.sample(range(len(values)), 2)
        values[one], values[other] = values[other], values[one]
    else:
        for k in rng.sample(range(len(values)), rng.randint(1, min(2, len(values)))):
            values[k] = str(int(values[k]) + rng.randrange(1, 50))
    result, end = "", 0
    for match, value in zip(found, values, strict=True):
        result, end = result + text[end : match.start()] + value, match.end()
    return result + text[end:]
