"""Lists that one process keeps for the next: equal to new ones, and never those of other files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gdbench import kept, listing
from gdbench.listing import Selection

PACKAGE = Path(kept.__file__).parent


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """An empty cache folder, and a process that has loaded no catalogue, as that of a command has not."""
    monkeypatch.setenv("GDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kept, "_catalogues_loaded", lambda: False)
    return tmp_path / "cache" / "lists"


def answers(folder: Path) -> list[Path]:
    return sorted(folder.glob("*")) if folder.exists() else []


def never():
    raise AssertionError("worked out again")


# Lists


@pytest.mark.parametrize("kind", [kind for kind in listing.LISTS if kind != "suites"])
def test_a_kept_list_is_equal_to_a_new_one(folder, kind, monkeypatch):
    new = listing.LISTS[kind]()
    assert listing.listed(kind) == new and len(answers(folder)) == 1
    monkeypatch.setattr(listing, "gather", lambda *of: never())
    again = listing.listed(kind)
    assert json.dumps(again) == json.dumps(new)  # the order of the facts too, and whether a number is whole


ASKED = [
    {"convex": True}, {"convex": False}, {"known_minimum": True}, {"known_minimum": False}, {"stochastic": True},
    {"stochastic": False, "separable": True}, {"family": "bbob"}, {"family": "plates", "convex": False},
    {"dim": 3, "family": "valleys"}, {"dim": 3, "family": "bbob", "separable": True},
]  # fmt: skip


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_filters_of_kept_problems(asked):
    wanted = Selection(**asked)
    new = listing.problems(wanted)
    assert listing.listed("problems", wanted) == new
    assert listing.listed("problems", wanted) == new


def test_filters_of_kept_optimizers():
    for family, needs in ((None, "residuals"), ("derivative-free", "nothing"), ("gradient", None)):
        new = listing.optimizers(family, needs)
        for _ in range(2):
            assert listing.listed("optimizers", Selection(family=family), needs) == new


@pytest.mark.parametrize(
    "asked", [{"family": "bbo"}, {"dim": 3, "family": "bbo"}, {"dim": 1, "family": "bbob"}], ids=str
)
def test_what_selects_nothing_says_the_same(asked):
    said = []
    for ask in (listing.problems, *[lambda wanted: listing.listed("problems", wanted)] * 2):
        with pytest.raises(Exception, match="bbo") as error:
            ask(Selection(**asked))
        said.append((type(error.value), str(error.value)))
    assert len(set(said)) == 1


# One process after another


def command(place: Path, *arguments: str, code: str = "from gdbench.cli import main; main()") -> str:
    """What the command line of a copy of the package prints, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=place, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(place)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


ONE_MORE = '''
import numpy as np

from gdbench.contracts import Problem, problem_family


@problem_family()
def one_more(dim: int = 2) -> Problem:
    """A first summary."""
    return Problem("one_more", lambda x, data, parameters: (x**2).sum(), dim, minimum=0.0)
'''

SHOWN = """
import sys
from gdbench.cli import main
try:
    main()
except SystemExit:
    print(sorted({"numpy", "pandas", "matplotlib", "scipy", "sklearn", "jax", "optax"} & set(sys.modules)))
"""


@pytest.mark.slow
def test_the_next_list_shows_what_was_added_changed_and_removed(tmp_path, folder):
    shutil.copytree(PACKAGE, tmp_path / "gdbench", ignore=shutil.ignore_patterns("__pycache__"))
    first = command(tmp_path, "list", "problems")
    assert command(tmp_path, "list", "problems", code=SHOWN) == first + "[]\n" and len(answers(folder)) == 1
    file = tmp_path / "gdbench" / "problems" / "one_more.py"
    for text, line in ((ONE_MORE, "A first summary."), (ONE_MORE.replace("A first", "Another"), "Another summary.")):
        file.write_text(text)
        for _ in range(2):
            [shown] = [row for row in command(tmp_path, "list", "problems").splitlines() if "one_more" in row]
            assert shown.split(None, 4) == ["one_more", "one_more", "n=2", "0", line]
    file.unlink()
    assert command(tmp_path, "list", "problems") == first and len(answers(folder)) == 3


# Fingerprints


@pytest.fixture
def tree(tmp_path, monkeypatch) -> Path:
    """A package of its own in the place of gdbench, and one in that of optax."""
    for name in ("house", "optax"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "a.py").write_text("x = 1\n")
    monkeypatch.setattr(kept, "__file__", str(tmp_path / "house" / "kept.py"))
    spec = SimpleNamespace(origin="", submodule_search_locations=[str(tmp_path / "optax")])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec if name == "optax" else None)
    return tmp_path


def test_a_fingerprint_changes_with_every_file(tree, monkeypatch):
    def written(path: str, text: str) -> None:
        (tree / path).write_text(text)

    stamp = (tree / "house/inner/a.py").stat()
    changes = [
        lambda: None,
        lambda: written("house/inner/a.py", "x = 2\n"),  # as long as before, and as old:
        lambda: written("house/inner/b.json", ""),
        lambda: (tree / "house/inner/b.json").rename(tree / "house/inner/c.json"),
        lambda: written("optax/inner/a.py", "x = 11\n"),
        lambda: written("optax/b.py", ""),
        lambda: (tree / "site" / "sif2jax-0.0.8.dist-info").mkdir(parents=True),
        lambda: monkeypatch.setattr(sys, "path", [*sys.path, str(tree / "site")]),
        lambda: (tree / "site/sif2jax-0.0.8.dist-info").rename(tree / "site/sif2jax-0.0.9.dist-info"),
        lambda: monkeypatch.setattr(sys, "version", "4"),
    ]
    seen = []
    for change in changes:
        change()
        os.utime(tree / "house/inner/a.py", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        seen.append(kept.fingerprint())
        assert kept.fingerprint() == seen[-1]
    same = 6  # a folder that Python does not look into is none of its business
    assert seen[same] == seen[same - 1] and len({*seen}) == len(seen) - 1 and None not in seen


def test_what_python_keeps_of_the_files_is_left_out(tree):
    before = kept.fingerprint()
    (tree / "house" / "__pycache__").mkdir()
    (tree / "house" / "__pycache__" / "a.pyc").write_text("")
    assert kept.fingerprint() == before


def test_where_gdbench_has_no_files_nothing_is_kept(tree, folder, monkeypatch):
    monkeypatch.setattr(kept, "__file__", str(tree / "archive.zip" / "gdbench" / "kept.py"))
    assert kept.fingerprint() is None and kept.recall("it", lambda: [1]) == [1] and answers(folder) == []


# Answers


def test_an_answer_is_read_and_not_worked_out_again(tree):
    assert kept.recall(["it", 2], lambda: {"a": [1.5, None]}) == {"a": [1.5, None]}
    assert kept.recall(["it", 2], never) == {"a": [1.5, None]}
    assert kept.recall(["it", 3], lambda: None) is None and kept.recall(["it", 3], never) is None


@pytest.mark.parametrize("broken", [
    b"", b"{}", b"\n", b"\xff\xfe\n[1]", lambda whole: whole[:-1], lambda whole: whole.replace(b"17", b"18"),
], ids=["empty", "json alone", "a line", "no text", "cut short", "changed"])  # fmt: skip
def test_a_broken_file_is_replaced(tree, folder, broken):
    kept.recall("it", lambda: [17])
    [file] = answers(folder)
    whole = file.read_bytes()
    file.write_bytes(broken(whole) if callable(broken) else broken)
    assert kept.recall("it", lambda: [17]) == [17]
    assert answers(folder) == [file] and file.read_bytes() == whole


@pytest.mark.parametrize(
    "made", [(1, 2), {"a": (1,)}, {1: 2}, float("nan"), [float("inf")], {"a": object()}],
    ids=["tuple", "tuple within", "number as key", "nan", "infinite", "object"],
)  # fmt: skip
def test_what_json_does_not_give_back_is_not_kept(tree, folder, made):
    assert kept.recall("it", lambda: made) is made and answers(folder) == []


def test_what_may_be_of_other_files_is_not_kept(tree, folder, monkeypatch):
    def make():
        (tree / "house" / "late.py").write_text("")
        return [1]

    assert kept.recall("it", make) == [1] and answers(folder) == []
    monkeypatch.setattr(kept, "_catalogues_loaded", lambda: True)
    assert kept.recall("it", make) == [1] and answers(folder) == []


def test_a_process_that_loaded_the_catalogues_says_so(monkeypatch):
    monkeypatch.undo()
    assert kept._catalogues_loaded()  # this one


def test_a_folder_that_cannot_be_written_is_no_fault(tree, monkeypatch):
    (tree / "file").write_text("")
    monkeypatch.setenv("GDBENCH_CACHE", str(tree / "file"))
    assert kept.recall("it", lambda: [1]) == [1] and kept.recall("it", lambda: [2]) == [2]

    def homeless():
        raise RuntimeError("no home")

    monkeypatch.setattr(kept, "cache_folder", homeless)
    assert kept.recall("it", lambda: [3]) == [3]


def test_the_oldest_answers_make_room(tree, folder, monkeypatch):
    monkeypatch.setattr(kept, "MOST", 3)
    for number in range(5):
        kept.recall(number, lambda number=number: [number])
        for age, file in enumerate(sorted(answers(folder), key=lambda file: file.stat().st_mtime_ns, reverse=True)):
            os.utime(file, (0, 1e9 - age))
    assert len(answers(folder)) == 3
    assert [kept.recall(number, never) for number in (2, 3, 4)] == [[2], [3], [4]]
