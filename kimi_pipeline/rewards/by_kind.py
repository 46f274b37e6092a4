"""The composite reward [2.3.5]: rules where they decide, the Chain-of-Thought RM where they abstain, code by test cases,
other kinds of answer by a judge of their own.

Belongs here: who is asked, in which order, and the record of what each said and cost. Does not belong here: any judge,
shapings on top (`composite.py`).

Rules abstain where a response is `unverifiable`, and where they find no answer in words (`free_form`) of a finished
response. What they refuse (several answers, hidden content) stays refused: no reward model is asked to forgive it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kimi_pipeline.rewards.contract import Breakdown, Evidence, Reference, Response, Reward, Status
from kimi_pipeline.rewards.rules import FREE_FORM
from kimi_pipeline.rewards.second_opinion import Opinion, Question, SecondOpinion

VERSION = "composite@1"
RULES, SECOND, CODE = "rules", "cot_rm", "code"
CODE_KIND = "code"
NO_SUITE = "no_suite"  # a coding problem without validated test cases


class CompositeReward:
    """A `Reward` by answer kind. `questions` gives a problem's text by id, for the second opinion; without a second opinion
    what rules can't decide is worth 0, as under the rules alone. `own`: answer kinds with a judge of their own
    (`own_judges.py`), whose verdict is final."""

    def __init__(
        self,
        rules: Reward,
        second: SecondOpinion | None = None,
        questions: Mapping[str, str] | None = None,
        code: Reward | None = None,
        own: Mapping[str, Reward] | None = None,
    ) -> None:
        self._rules, self._second, self._code = rules, second, code
        self._questions = questions or {}
        self._own = dict(own or {})
        judges = [rules.version, *(one.version for one in (second, code, *self._own.values()) if one is not None)]
        self.version = f"{VERSION}({','.join(judges)})"

    @property
    def second(self) -> SecondOpinion | None:
        """Who is asked where rules abstain."""
        return self._second

    def score(self, reference: Reference, group: Sequence[Response]) -> list[Breakdown]:
        """[k]. A judge that fails excludes the responses that it alone could have judged; it ends nothing."""
        if reference.answer_kind == CODE_KIND:
            return self._by_tests(reference, group)
        if judge := self._own.get(reference.answer_kind):
            return self._timed(judge, reference.answer_kind, reference, group)
        found = self._timed(self._rules, RULES, reference, group)
        places = [place for place, one in enumerate(found) if self._abstained(reference, group[place], one)]
        if self._second is None or not places:
            return found
        question = self._questions.get(reference.problem_id, "")
        asked = [Question(question, reference.answer, group[place].text) for place in places]
        for place, opinion in zip(places, self._opinions(self._second, asked), strict=True):
            found[place] = self._decided(found[place], opinion)
        return found

    def _by_tests(self, reference: Reference, group: Sequence[Response]) -> list[Breakdown]:
        if self._code is None:
            said = Evidence(CODE, "", Status.INFRASTRUCTURE_ERROR, NO_SUITE, None)
            return [Breakdown(said.status, None, NO_SUITE, rule_version=self.version, evidence=(said,)) for _ in group]
        try:
            return self._timed(self._code, CODE, reference, group)
        except KeyError:  # the set holds a problem whose suite was not kept
            said = Evidence(CODE, self._code.version, Status.INFRASTRUCTURE_ERROR, NO_SUITE, None)
            return [Breakdown(said.status, None, NO_SUITE, rule_version=self.version, evidence=(said,)) for _ in group]

    def _timed(self, judge: Reward, part: str, reference: Reference, group: Sequence[Response]) -> list[Breakdown]:
        """A judge's breakdowns with their evidence; its seconds are shared out evenly."""
        began = time.perf_counter()
        found = judge.score(reference, group)
        seconds = (time.perf_counter() - began) / max(1, len(group))
        return [
            replace(
                one,
                rule_version=self.version,
                evidence=(
                    Evidence(
                        part,
                        one.rule_version or judge.version,
                        one.status,
                        one.reason,
                        one.reward,
                        seconds,
                        text=_rests_on(one, part),
                    ),
                ),
            )
            for one in found
        ]

    @staticmethod
    def _abstained(reference: Reference, response: Response, found: Breakdown) -> bool:
        if found.status is Status.UNVERIFIABLE:
            return True
        return found.status is Status.NO_ANSWER and reference.answer_kind == FREE_FORM and response.finished

    @staticmethod
    def _opinions(second: SecondOpinion, asked: Sequence[Question]) -> list[Opinion]:
        opinions = second.judge(asked)
        if len(opinions) != len(asked):
            raise ValueError(f"{second.version} gave {len(opinions)} opinions on {len(asked)} responses")
        return opinions

    @staticmethod
    def _decided(rules: Breakdown, opinion: Opinion) -> Breakdown:
        if opinion.correct is not None:
            status, reward = (Status.CORRECT, 1.0) if opinion.correct else (Status.WRONG, 0.0)
        elif opinion.failed:
            status, reward = Status.INFRASTRUCTURE_ERROR, None
        else:
            status, reward = Status.UNVERIFIABLE, 0.0
        text = json.dumps({"share": opinion.share, "votes": opinion.evidence}, ensure_ascii=False)
        said = Evidence(SECOND, opinion.judge, status, opinion.reason, reward, opinion.seconds, opinion.tokens, text)
        parts = {} if reward is None else {"correct": reward}
        return replace(
            rules,
            status=status,
            reward=reward,
            reason=opinion.reason,
            parts=parts,
            evidence=(*rules.evidence, said),
        )


def _rests_on(found: Breakdown, part: str) -> str:
    """What a verdict rests on, as JSON: the answer that rules found; of a program, how far it came."""
    if part == CODE:
        return json.dumps(found.parts)
    return json.dumps({"answer": found.extracted_answer}, ensure_ascii=False)
