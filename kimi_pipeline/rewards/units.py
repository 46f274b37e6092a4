"""Units beside a number: their names, dimensions and factors, as far as answers to problems use them.

Belongs here: which words are which unit, how two units are related. Does not belong here: reading the number.
"""

from __future__ import annotations

import re
from fractions import Fraction

CURRENCY_SIGNS = "$€£¥₹"
_CURRENCIES = dict(zip(CURRENCY_SIGNS, ("dollar", "euro", "pound sterling", "yen", "rupee"), strict=True))

# dimension: {unit: how many of the first unit it is}
_DIMENSIONS: dict[str, dict[str, Fraction]] = {
    "length": {
        "m": Fraction(1), "mm": Fraction(1, 1000), "cm": Fraction(1, 100), "dm": Fraction(1, 10), "km": Fraction(1000),
        "in": Fraction(254, 10_000), "ft": Fraction(3048, 10_000), "yd": Fraction(9144, 10_000),
        "mi": Fraction(1_609_344, 1000),
    },
    "mass": {
        "g": Fraction(1), "mg": Fraction(1, 1000), "kg": Fraction(1000), "t": Fraction(10**6),
        "oz": Fraction(28_349_523_125, 10**9), "lb": Fraction(45_359_237, 10**5),
    },
    "time": {
        "s": Fraction(1), "ms": Fraction(1, 1000), "min": Fraction(60), "h": Fraction(3600), "day": Fraction(86_400),
        "week": Fraction(604_800),
    },
    "long time": {"month": Fraction(1), "year": Fraction(12)},
    "volume": {"l": Fraction(1), "ml": Fraction(1, 1000), "cl": Fraction(1, 100)},
    "american money": {"dollar": Fraction(1), "cent": Fraction(1, 100)},
    "chinese money": {"yuan": Fraction(1), "jiao": Fraction(1, 10), "fen": Fraction(1, 100)},
    "euro": {"euro": Fraction(1)},
    "pound sterling": {"pound sterling": Fraction(1)},
    "yen": {"yen": Fraction(1)},
    "rupee": {"rupee": Fraction(1)},
    "angle": {"degree": Fraction(1)},
    "speed": {"km/h": Fraction(1), "m/s": Fraction(36, 10), "mi/h": Fraction(1_609_344, 10**6)},
}  # fmt: skip
for _power in (2, 3):
    _DIMENSIONS[f"length {_power}"] = {
        f"{name}^{_power}": factor**_power for name, factor in _DIMENSIONS["length"].items()
    }
_DIMENSION_OF = {name: dimension for dimension, names in _DIMENSIONS.items() for name in names}

_NAMES = {
    "m": "meter metre 米", "mm": "millimeter millimetre 毫米", "cm": "centimeter centimetre 厘米", "dm": "decimeter 分米",
    "km": "kilometer kilometre 千米 公里", "in": "inch inche", "ft": "foot feet", "yd": "yard", "mi": "mile",
    "g": "gram 克", "mg": "milligram 毫克", "kg": "kilogram 千克 公斤", "t": "ton tonne 吨", "oz": "ounce",
    "lb": "lbs pound", "s": "second sec 秒", "ms": "millisecond", "min": "minute 分钟", "h": "hour hr 小时",
    "day": "天 日", "week": "周", "month": "月 个月", "year": "yr 年",
    "l": "liter litre 升", "ml": "milliliter millilitre 毫升", "cl": "centiliter",
    "dollar": "usd buck 美元", "cent": "¢", "yuan": "元 rmb 块 人民币", "jiao": "角", "fen": "分",
    "euro": "eur 欧元", "yen": "jpy 日元", "rupee": "inr", "pound sterling": "gbp", "degree": "deg °",
    "km/h": "kph kmh", "mi/h": "mph", "m/s": "mps",
    "cm^2": "平方厘米", "m^2": "平方米", "km^2": "平方千米", "cm^3": "立方厘米", "m^3": "立方米",
}  # fmt: skip
_NORMAL = {word: unit for unit, words in _NAMES.items() for word in [unit, *words.split()]}

# Words that make another number of the one before them, or say that it is not one number.
_NO_UNIT_WORDS = (
    "or and to not no minus plus times over hundred thousand million billion trillion dozen half third quarter squared "
    "cubed factorial point mod modulo if because since but than less more least most about approximately with remainder "
    "is was are equals either maybe perhaps base exactly through until"
)
_NO_UNIT = frozenset(_NO_UNIT_WORDS.split())
_PHRASE = re.compile(r"[^\W\d_][^\W_]*(?:(?: ?/ ?| ?\^\{?[23]\}?|\.? |['’-])[^\W\d_]*)*\.?")
_SCALES = re.compile(r"[百千万萬亿億]|[或和到不]|以上|以下|左右|多")
_LONGEST_PHRASE = 6  # words


def currency_of(text: str) -> str:
    """The currency whose sign stands at either end of a text; "" without one."""
    return _CURRENCIES.get(text[:1]) or _CURRENCIES.get(text[-1:]) or ""


def phrase(text: str) -> str | None:
    """The unit that the words behind a number are ("percent" for a share); None where they are no unit."""
    text = re.sub(r"\\(?:text|mathrm|mbox) ?\{([^{}]*)\}", r"\1", text)
    if re.search(r"[\\{}=<>()\[\]]|\d", re.sub(r"\^\{?[23]\}?", "", text)) or _SCALES.search(text):
        return None
    words = re.findall(r"[^\W\d_]+", text.casefold())
    if not _PHRASE.fullmatch(text) or (
        len(words) == 1 and len(words[0]) == 1 and normal(text) not in _DIMENSION_OF and words[0].isascii()
    ):
        return None  # 18x and 18a- are not 18
    if not words or len(words) > _LONGEST_PHRASE or any(word in _NO_UNIT for word in words):
        return None
    if words in (["percent"], ["per", "cent"], ["pct"], ["percentage"]):
        return "percent"
    return normal(text)


def normal(text: str) -> str:
    """One name for one unit: singular, short, powers as `^2`; words that are no known unit stay words."""
    text = re.sub(r"\s+", " ", text.casefold().replace("{", "").replace("}", "")).strip(" .,")
    power = ""
    if found := re.match(r"(square|sq\.?|cubic|cu\.?) (.*)", text):
        power, text = "^2" if found[1].startswith("sq") else "^3", found[2]
    elif found := re.search(r" ?\^ ?([23])$", text):
        power, text = f"^{found[1]}", text[: found.start()]
    text = re.sub(r" ?(?:/| per | an? ) ?", "/", text)
    name = "/".join(_singular(part) for part in text.split("/"))
    name = _NORMAL.get(name, name)
    return name + power


def _singular(word: str) -> str:
    if word in _NORMAL:
        return _NORMAL[word]
    stem = word.removesuffix("s") if len(word) > 3 and not word.endswith("ss") else word
    return _NORMAL.get(stem, stem)


def ratio(left: str, right: str) -> Fraction | None:
    """How many of `right` one `left` is; 0 where they measure different things; None where one of them is unknown."""
    first, second = _DIMENSION_OF.get(left), _DIMENSION_OF.get(right)
    if first is None or second is None:
        return None
    if first != second:
        return Fraction(0)
    return _DIMENSIONS[first][left] / _DIMENSIONS[first][right]


def ratios(unit: str) -> list[Fraction]:
    """How many of each other unit of its dimension one `unit` is; empty for an unknown one."""
    dimension = _DIMENSION_OF.get(unit)
    if dimension is None:
        return []
    own = _DIMENSIONS[dimension][unit]
    return [own / factor for name, factor in _DIMENSIONS[dimension].items() if name != unit]
