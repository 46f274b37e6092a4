"""Files that appear whole: the old one stays until the new one is there, and a failed try leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from kimi_pipeline.files import whole_file, write_whole


def test_until_the_block_has_ended_the_old_file_stands(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with whole_file(path) as scratch:
        scratch.write_text("new")
        assert path.read_text() == "old" and scratch.name.startswith(".") and scratch.parent == tmp_path
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_a_block_that_raises_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), whole_file(path) as scratch:
        scratch.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".page.html").write_text("a longer text than the one that comes")
    write_whole(tmp_path / "page.html", "一\r\n")
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]
    assert (tmp_path / "page.html").read_bytes() == "一\r\n".encode()
