"""Forms of questions that are no use as RL prompts [2.1], as patterns in English and Chinese.

Belongs here: what a form looks like in a prompt or an answer. Does not belong here: the order of the forms and the
verdict (`evaluability.py`), lists of options (`options.py`).

A pattern looks for the form: that a word such as "true" or "show" occurs is never enough. All patterns read text in lower
case; each is tried only where the prompt holds one of its hints, which is looked for at a hundredth of the cost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ASKS = re.compile(
    r"\b(?:find|compute|determine|evaluate|calculate|solve|how (?:many|much|long|far|old)|what(?:'s| is| are| was| will))\b"
    r"|求(?!证|解释)|计算|多少|是几|几[个只条种次天]"
)


def asks_value(lower: str) -> bool:
    """Whether a text asks for something that has one value."""
    return bool(_ASKS.search(lower))


@dataclass(frozen=True)
class Form:
    """Patterns, each with its hints. `unless_asked`: no match where the prompt goes on to ask for a value."""

    patterns: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]
    unless_asked: bool = False

    def find(self, lower: str) -> tuple[int, int] | None:
        """The span of a match in a prompt in lower case."""
        for hints, pattern in self.patterns:
            for hint in hints:
                if hint in lower:
                    for match in pattern.finditer(lower):
                        if not (self.unless_asked and asks_value(lower[match.end() :])):
                            return match.span()
                    break
        return None


def _form(*patterns: tuple[str, str], unless_asked: bool = False) -> Form:
    """A form of pairs of hints (between bars) and pattern."""
    return Form(tuple((tuple(hints.split("|")), re.compile(pattern)) for hints, pattern in patterns), unless_asked)


_SENTENCE = r"(?:^\s*|[.!?:。]\s*|\n\s*)"  # where one begins
_CLAUSE = r"(?:^\s*|[.!?:;,。]\s*|\n\s*)"

CHOICE = _form(
    (" of the following| of these| of those", r"\bwhich (?:one )?(?:\w+ )?of (?:the following|these|those)\b"),
    (
        "correct|best|right",
        r"\b(?:choose|select|pick|mark|circle|tick) the (?:\w+ )?(?:correct|best|right) "
        r"(?:option|answer|choice|alternative|letter)\b",
    ),
    (
        "choose |select |pick |circle |tick ",
        r"\b(?:choose|select|pick|circle|tick) (?:one|from)(?: of)?(?: the (?:following|options|choices)|:)",
    ),
    ("options|choices|alternatives", r"\b(?:options|choices|alternatives)(?: are)?\s*:"),
    (
        " or ",
        r"\bwhich (?:\w+ )?(?:is|are|has|was|weighs|costs) (?:the )?(?:\w+ )?\w*(?:er|est|more|less|most|least)\b"
        r"[^.?!,:]{0,30}[,:][^.?!]{1,80}?\bor\b[^.?!]{1,60}\?",
    ),
    ("下列|以下|下面", r"(?:下列|以下|下面)[^。?!]{0,30}(?:的是|的为|是哪|哪[个一些项种])|(?:下列|以下)(?:选项|答案)"),
    ("选项|选择题|答案是", r"哪[一个]?[个项]?选项|选择题|(?:正确|错误)的(?:选项|答案)是|选出(?:正确|错误)的"),
    ("()|( )|(  ", r"\(\s*\)\s*[。.]?\s*(?:$|\n|a[.)、])"),
)

_NOUN = r"(?![\s-]*(?:questions?|problems?|items?|tests?|quiz(?:zes)?|exams?|sections?|part|ones)\b)"
TRUE_FALSE = _form(
    (
        "true",
        rf"\btrue or false\b{_NOUN}|\bfalse or true\b|\btrue\s*/\s*false\b{_NOUN}|\btrue\s*\(t\)\s*or\s*false",
    ),
    ("yes", rf"\byes or no\b{_NOUN}|\byes\s*/\s*no\b{_NOUN}"),
    (
        "is it |is this |is that ",
        r"(?:^\s*|[.!?:]\s+)is (?:it|this|that) (?:true|correct|false|possible)\b[^.?!]{0,120}\?",
    ),
    (
        "statement|claim|assertion",
        r"\b(?:statement|claim|assertion)\b[^.?!]{0,60}\b(?:true|false|correct)\s*\?",
    ),
    ("answer |reply |respond ", r"\b(?:answer|reply|respond)(?: with)? (?:yes|true|no|false)\b"),
    ("判断", r"判断(?:题|对错|正误|真假|下[列面]|以下|该|此|这)"),
    ("还是", r"(?:对|正确|真)还是(?:错|错误|假)|是真命题还是假命题"),
    ("是否", r"是否(?:正确|成立|为真)[吗\s]*[?。]?\s*$"),
    ("吗|对不对|是不是", r"(?:正确|对|成立)吗|对不对|是不是真命题"),
    ("回答|填", r"(?:回答|填)[“\"「]?(?:是|对|√)"),
)

_PROOF_VERBS = "prove|disprove|show|demonstrate|verify|justify|establish"
PROOF = _form(
    (
        _PROOF_VERBS,
        rf"(?:^\s*|[.!?:;]\s+|\n\s*|,\s*(?:then\s+)?|\band\s+|\(\w{{1,3}}\)\s*|\bplease\s+)(?:{_PROOF_VERBS})\b"
        r"(?!\s+(?:(?:all )?your|that you|me|us|the (?:steps|work)))"
        r"[^.?!]{0,40}?\b(?:that|by|the|there|for|this|it|why|each|every|any|if)\b",
    ),
    ("proof|justification", r"\b(?:give|write|provide|present) (?:a|an|the) (?:\w+ )?(?:proof|justification)\b"),
    ("求证|试证", r"求证|试证"),
    (
        "证明|验证",
        r"(?:^\s*|[,。;:\n)]\s*)(?:请|试|用[^,。]{1,10})?(?:给出)?(?:证明|验证)(?!了|过|书|可得|可知|后)",
    ),
    unless_asked=True,
)

_FIGURE = r"(?:figures?|diagram|picture|drawing|image|sketch|illustration)"
FIGURE = _form(
    (
        "figure|diagram|picture|drawing|image|sketch|illustration",
        rf"\b(?:in|from|see|using|refer to|according to|consider|given) (?:the|this)"
        rf"(?: (?:accompanying|adjoining|following|given|attached|above))? {_FIGURE}"
        r"(?=\s*(?:$|[,.:)?]|below|above|shown|to the (?:right|left)|(?:on|at) the (?:right|left)))"
        rf"|\bas (?:shown|pictured|seen|drawn|illustrated) in (?:the|this) {_FIGURE}"
        rf"|\b(?:accompanying|adjoining|attached) {_FIGURE}",
    ),
    (
        "figure|diagram|picture|drawing|image|sketch|illustration|graph |chart |map ",
        rf"\b(?:{_FIGURE}|graph|chart|map) (?:(?:is |are )?shown|below|above|to the (?:right|left)"
        r"|(?:on|at) the (?:right|left)|shows|given below)\b",
    ),
    ("graph", r"\bgraph\b[^.?!]{0,80}\bis shown\b"),
    ("in fig|see fig", r"\b(?:in|see) (?:figure|fig\.) ?\d"),
    ("pictured |illustrated |drawn ", r"\b(?:pictured|illustrated|drawn) (?:below|above)\b"),
    ("图", r"如(?:[下上左右]?图|图[所\d])|[下上左右]图|图[中示]|(?:观察|根据|看)[^,。]{0,6}图[,。]"),
)
TABLE = _form(
    (
        "table|data",
        r"\b(?:table|data) (?:is )?(?:shown )?(?:below|above)\b|\b(?:following|accompanying) table\b|\btable shows\b",
    ),
    ("表", r"(?:[下上]|如)表"),
)
_DRAWN = ("[asy]", "tikz", "\\begin{picture", "<svg", "<img", "![", "\\includegraphics", "{tabular", "{array")
_TABULAR = ("|", "&", "\t", "<table", "\n")

OPEN_ENDED = _form(
    (
        "explain|describe|discuss|summari|comment on|outline|interpret",
        rf"{_SENTENCE}(?:please )?(?:briefly )?(?:explain|describe|discuss|summari[sz]e|comment on|outline|interpret)\b"
        r"(?!\s+(?:your|all|each step|how you|the steps))",
    ),
    (
        "compare and| own words|you think|would you",
        rf"{_SENTENCE}(?:compare and contrast|in your own words|what do you think|how would you)\b",
    ),
    ("why ", rf"{_SENTENCE}why (?:is|are|do|does|did|was|were|can|must|might|would|should)\b[^?]{{0,200}}\?"),
    (
        "sketch|draw|plot|graph|construct",
        rf"{_SENTENCE}(?:please )?(?:sketch|draw|plot|graph|construct) (?:the|a|an)\b",
    ),
    ("design a", rf"{_SENTENCE}design (?:a|an) (?:experiment|study|survey)\b"),
    ("example", rf"{_SENTENCE}(?:give|provide|state) (?:an|one|two|three|some|several) examples?\b"),
    (
        "write a",
        rf"{_SENTENCE}(?:please )?write (?:a|an) (?:\w+ )?(?:essay|story|poem|paragraph|letter|report|word problem|summary)\b",
    ),
    (
        "解释|简述|简要|论述|谈谈|描述|讨论|举例|画出|作出|写一|说说",
        rf"{_CLAUSE}(?:请|试)?(?:你)?(?:解释|简述|简要说明|论述|谈谈|描述|讨论|举例|画出|作出|说说|写一[篇首段封])",
    ),
    ("为什么", r"为什么[^。]{0,60}\?"),
    unless_asked=True,
)

_WRAPPED = re.compile(r"^\\(?:text|mathrm|textbf|mbox)\s*\{(.*)\}$")
_BINARY = frozenset(
    "true false yes no correct incorrect 是 否 对 错 正确 错误 真 假 √ × ✓ ✗ 不是 不对 不能 能 是的 成立 不成立".split()  # noqa: SIM905
)
_PROVED = frozenset(
    ("proof", "see proof", "proved", "q.e.d.", "qed", "see solution", "证明见解析", "见解析", "略", "证毕", "证明略")
)
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
_HAN = re.compile(r"[\u3400-\u9fff]")
LONGEST_PROSE = 20  # English words of an answer that rules may still compare; Chinese characters: twice as many


def plain_answer(answer: str) -> str:
    """An answer in lower case, without wrappers and the full stop."""
    text = answer.strip().strip("$").strip()
    if text.startswith("\\") and (whole := _WRAPPED.match(text)):
        text = whole[1]
    return text.strip(" .。").casefold()


def is_binary(plain: str) -> bool:
    return len(plain) < 10 and plain in _BINARY


def is_proof_note(plain: str) -> bool:
    return plain in _PROVED


def is_prose(answer: str) -> bool:
    """Whether an answer is a text of its own: no rule compares two of those."""
    return len(answer) > LONGEST_PROSE and (
        len(_WORD.findall(answer)) > LONGEST_PROSE or len(_HAN.findall(answer)) > 2 * LONGEST_PROSE
    )


def missing_figure(lower: str) -> tuple[int, int] | None:
    """Where a prompt in lower case speaks of a figure or table that it does not hold."""
    if (span := FIGURE.find(lower)) and not any(sign in lower for sign in _DRAWN):
        return span
    if (span := TABLE.find(lower)) and not any(sign in lower for sign in (*_TABULAR, *_DRAWN)):
        return span
    return None
