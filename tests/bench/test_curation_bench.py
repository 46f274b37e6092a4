"""The generated corpus is what it says, and the figures of the chains are counted right."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from kimi_pipeline.bench import curation, generated
from kimi_pipeline.bench.curation import quality
from kimi_pipeline.bench.near_chain import chain
from kimi_pipeline.home import Home


def test_the_generated_corpus_has_its_shares_and_its_clusters() -> None:
    rows = list(generated.rows(4000))
    assert Counter(row["planted"] for row in rows) == {"distinct": 2800, "near_duplicate": 800, "template": 400}
    assert rows == list(generated.rows(4000))
    sizes = Counter(row["cluster"] for row in rows)
    assert len(sizes) == 3200
    assert 20 < max(sizes.values()) <= generated.LARGEST_CLUSTER
    template = [row["prompt"] for row in rows if row["planted"] == "template"]
    assert len(set(template)) == 400
    assert len({re.sub(r"\d+", "#", text) for text in template}) == 1


def test_rewordings_keep_the_numbers() -> None:
    rows = list(generated.rows(1000))
    of_problem = {row["cluster"]: row["prompt"] for row in rows if row["planted"] == "distinct"}
    for row in rows:
        if row["planted"] == "near_duplicate":
            one, other = row["prompt"], of_problem[row["cluster"]]
            assert Counter(re.findall(r"\d+", one)) == Counter(re.findall(r"\d+", other))


def test_quality_by_hand() -> None:
    # True clusters: rows 0, 1, 2 and rows 3, 4; row 5 alone: three rows repeat another.
    truth = [7, 7, 7, 8, 8, 9]
    assert quality([[0, 1, 2], [3, 4]], truth) == {"recall": 1.0, "wrongly_dropped_share": 0.0}
    assert quality([[0, 1], [4, 5]], truth) == {"recall": 0.3333, "wrongly_dropped_share": 0.1667}
    assert quality([], truth) == {"recall": 0.0, "wrongly_dropped_share": 0.0}


def test_our_chain_finds_the_generated_rewordings_and_keeps_the_template() -> None:
    rows = list(generated.rows(2000))
    found = chain([row["prompt"] for row in rows])
    measured = quality(found, [row["cluster"] for row in rows])
    assert measured["recall"] >= 0.95
    assert measured["wrongly_dropped_share"] <= 0.001
    assert not {rows[row]["planted"] for cluster in found for row in cluster} & {"template"}


def test_the_stages_leave_standard_output_to_the_bench(home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    found = curation._run(home, 400)
    told = capfd.readouterr()
    assert found["problems_per_second"] > 0
    assert "corpus:" in told.err and told.out == ""
