from __future__ import annotations

import pytest

from kimi_pipeline.curation.taxonomy import Tag, taxonomy


def test_every_tag_reads_back() -> None:
    known = taxonomy()
    assert len(known.tags) == len(set(known.tags)) > 40
    for tag in known.tags:
        assert known.parse(str(tag)) == tag
    assert {"mathematics", "physics", "chemistry", "biology", "competition", "coding", "general_reasoning"} <= set(
        known.disciplines
    )
    assert known.parse("mathematics") == Tag("mathematics", "other")
    assert known.parse("mathematics/alchemy") is None
    assert known.parse("") is None


@pytest.mark.parametrize(
    ("label", "tag"),
    [
        ("Algebra", "mathematics/algebra"),
        ("Intermediate Algebra", "mathematics/intermediate_algebra"),
        ("Prealgebra", "mathematics/prealgebra"),
        ("Counting & Probability", "mathematics/counting_and_probability"),
        ("Number Theory", "mathematics/number_theory"),
        ("Precalculus", "mathematics/precalculus"),
        ("Geometry", "mathematics/geometry"),
        ("high_school_physics", "physics/other"),
        ("olympiads", "competition/other"),
        ("几何", "mathematics/geometry"),
        ("数学", "mathematics/other"),
    ],
)
def test_labels_of_sources(label: str, tag: str) -> None:
    assert str(taxonomy().of_label(label)) == tag
    assert str(taxonomy().subject({"level": "Level 1", "type": label})) == tag


def test_a_source_places_its_rows() -> None:
    place = taxonomy().place
    assert place("mathematics", "number theory") == Tag("mathematics", "number_theory")
    assert place("competition", "Geometry") == Tag("competition", "geometry")
    assert place("mathematics", "unheard of") == Tag("mathematics", "other")
    assert place(None, "Geometry") == Tag("mathematics", "geometry")
    assert place("alchemy", None) is None
    assert taxonomy().subject({"type": "easy", "level": "1"}) is None


@pytest.mark.parametrize(
    ("labels", "grade"),
    [
        ({"level": "Level 5"}, "level 5"),
        ({"level": "5"}, "level 5"),
        ({"difficulty": "5.0"}, "difficulty 5"),
        ({"grade": "8"}, "grade 8"),
        ({"difficulty": "Hard"}, "difficulty hard"),
        ({"level": "Level ?", "difficulty": "2.5"}, "difficulty 2.5"),
        ({"difficulty": "x" * 100}, None),
        ({"type": "Algebra"}, None),
    ],
)
def test_grades(labels: dict[str, str], grade: str | None) -> None:
    assert taxonomy().grade(labels) == grade
