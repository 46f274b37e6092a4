"""What compilers find faster: made once, seen by every room, with the programs that come of it as they were."""

from __future__ import annotations

import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import sandbox
from sandbox import BackendUnavailable, Outcome, languages
from sandbox.backends.prepared import ENVIRONMENT, Prepared
from tests.conftest import missing
from tests.sandbox.conftest import open_or_miss

CHECKOUT = Path(sandbox.__file__).parents[1]
CPP = languages.built_in()["cpp"]
USES = "#include <bits/stdc++.h>\nint main() { int n; std::cin >> n; std::cout << std::max(n, 2 * n) << 'n'; }"


@pytest.fixture(autouse=True)
def own_tmp(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files that rooms can read, and nothing in it."""
    tmp_path_factory.getbasetemp()  # of the whole session: it must not lie in there
    with tempfile.TemporaryDirectory(prefix="prepared-") as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def test_it_is_made_once_and_found_by_the_next_process(own_tmp: Path) -> None:
    counting = replace(CPP, prepare="echo once >> made")
    for _ in range(2):
        prepared = Prepared("system")
        for _ in range(2):
            prepared.make(counting)
        made = prepared.folder / Path(counting.prepared).name / "made"
        assert made.read_text() == "once\n"
        assert made.parent.stat().st_mode & 0o777 == 0o755 and made.stat().st_mode & 0o444 == 0o444
    assert list(own_tmp.iterdir()) == [prepared.folder]
    assert Prepared("another system").folder != prepared.folder
    assert replace(CPP, prepare="echo twice >> made").prepared != counting.prepared


def test_nothing_to_prepare_makes_nothing() -> None:
    prepared = Prepared("system")
    prepared.make(languages.built_in()["python"])
    assert list(prepared.folder.iterdir()) == []


def test_what_fails_is_said_and_tried_again(own_tmp: Path) -> None:
    prepared = Prepared("system")
    broken = replace(CPP, prepare="test -e ../mended || { echo no compiler here >&2; exit 1; }; touch made")
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match="language cpp can't be prepared: no compiler here"):
            prepared.make(broken)
    assert list(own_tmp.iterdir()) == [prepared.folder] and list(prepared.folder.iterdir()) == []
    (own_tmp / "mended").touch()
    prepared.make(broken)
    assert len(list(prepared.folder.iterdir())) == 1


def test_what_cannot_be_kept_is_said_and_what_another_process_made_meanwhile_is_taken(own_tmp: Path) -> None:
    prepared = Prepared("system")
    blocked = replace(CPP, prepare="touch made")
    (prepared.folder / Path(blocked.prepared).name).touch()
    with pytest.raises(BackendUnavailable, match=r"language cpp can't be prepared: .*Not a directory"):
        prepared.make(blocked)
    late = replace(CPP, prepare=f"mkdir -p {prepared.folder}/$PLACE && touch made")
    place = Path(late.prepared).name
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENVIRONMENT, "PLACE", f"{place}/theirs")
        prepared.make(late)
    assert [path.name for path in (prepared.folder / place).iterdir()] == ["theirs"]
    assert list(own_tmp.iterdir()) == [prepared.folder]


def test_a_folder_that_others_may_write_to_is_refused() -> None:
    folder = Prepared("system").folder
    folder.chmod(0o777)
    with pytest.raises(BackendUnavailable, match=r"open to others: remove it, or set TMPDIR"):
        Prepared("system")
    folder.rmdir()
    folder.symlink_to("/tmp")
    with pytest.raises(BackendUnavailable, match="is another user's"):
        Prepared("system")
    folder.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("name", sandbox.BACKENDS)
def test_the_compiler_takes_it_and_nobody_can_write_there(name: str) -> None:
    """The rooms of the pool are warm before it is made. The compiler's own list of headers marks a prepared one with `!`."""
    script = '/usr/bin/g++ -H -O2 -std=gnu++20 "-I$0" -o "$1" "$2" 2>list; grep -q "^! $0/bits/stdc++.h.gch" list'
    asks = replace(CPP, compile=("/bin/sh", "-c", script, "{prepared}", "{output}", "{source}"))
    looks = f"import os\nprint(os.listdir({CPP.prepared!r}), os.access({CPP.prepared!r}, os.W_OK))"
    with open_or_miss(name, table=languages.built_in() | {"asks": replace(asks, name="cpp")}) as box:
        (warm,) = box.run("print(1)", "python", [b""])
        assert warm.outcome is Outcome.OK
        for language in ("asks", "cpp"):
            (verdict,) = box.run(USES, language, [b"21"])
            assert (verdict.outcome, verdict.stdout) == (Outcome.OK, b"42n"), verdict
        (looked,) = box.run(looks, "python", [b""])
        assert looked.stdout in (b"['bits', 'all.h'] False\n", b"['all.h', 'bits'] False\n"), looked
        (refused,) = box.run(USES.replace("bits/stdc++.h", "map"), "asks", [b"21"])
        assert refused.outcome is Outcome.COMPILE_ERROR  # this test can fail


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tree_distances", "knapsack"])
def test_programs_come_out_the_same_in_less_than_half_the_time(name: str, own_tmp: Path) -> None:
    """CPU seconds of the compiler, on this machine's own system, beside the same command without the folder."""
    if shutil.which("/usr/bin/g++") is None:
        missing("no g++")
    prepared = Prepared("system")
    prepared.make(CPP)
    place = str(prepared.folder / Path(CPP.prepared).name)
    source = next((CHECKOUT / "kimi_pipeline/testcases/builtin" / name / "accepted").glob("*.cpp"))
    spent, made = {}, {}
    for way in ("plain", "prepared"):
        words = [
            word.replace("{prepared}", place) for word in CPP.compile if way == "prepared" or "{prepared}" not in word
        ]
        target = own_tmp / way
        places = {"{source}": str(source), "{output}": str(target)}
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        subprocess.run([places.get(word, word) for word in words], check=True)
        spent[way] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        made[way] = target.read_bytes()
    print(f"{name}: {spent['plain']:.2f} s, prepared {spent['prepared']:.2f} s")
    assert made["plain"] == made["prepared"]
    assert spent["prepared"] < 0.5 * spent["plain"], spent
