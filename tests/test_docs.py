"""What README and CONTRIBUTING show is run as it stands there."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

import gdbench as gd
from gdbench.contracts import Optimizer, ProblemFamily
from gdbench.suite import build_suite

ROOT = Path(__file__).parent.parent
README, CONTRIBUTING = ROOT / "README.md", ROOT / "CONTRIBUTING.md"


def blocks(document: Path, language: str) -> list[tuple[int, str]]:
    """The blocks of code of a document in that language, each with the line it begins at."""
    text = document.read_text(encoding="utf-8")
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text[: match.start(1)].count("\n") + 1, match.group(1)) for match in found]


def run_blocks(document: Path) -> dict:
    """Execute the Python of a document from top to bottom, as one who reads and types it."""
    names: dict = {"__name__": "typed"}
    for line, code in blocks(document, "python"):
        # Blank lines before it give the faults of a block their line in the document.
        exec(compile("\n" * (line - 1) + code, str(document), "exec"), names)  # noqa: S102
    return names


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of a reader's own, with the suites of the repository."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "suites", tmp_path / "suites")
    return tmp_path


def test_blocks_are_found_with_their_lines(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("text\n```python\na = 1\n```\n```sh\nls\n```\n\n```python\nb = 2\n\nc = 3\n```\n")
    assert blocks(page, "python") == [(3, "a = 1\n"), (10, "b = 2\n\nc = 3\n")]
    assert run_blocks(page)["c"] == 3
    assert len(blocks(README, "python")) >= 4 and len(blocks(CONTRIBUTING, "python")) >= 2


@pytest.mark.slow
def test_the_python_of_the_readme_runs(folder):
    names = run_blocks(README)
    assert len(names["s"].table) == 256 * 2 * 64
    assert len(names["run"].table()) > 0 and (names["run"].path / "report.html").is_file()
    # What stands there without a name: the sweeps of the reader's own functions.
    quartic = gd.sweep(names["quartic"], "gd", x0=[0.0], minimum=0.0, learning_rate=0.01, width=[1.0, 10.0], steps=500)
    assert list(quartic.table["f_start"]) == [81, np.float32(8.1)]
    clipped = gd.sweep("parabola", names["clipped"], learning_rate=0.1, clip=[0.5, 1.0], steps=100).table
    assert list(clipped["clip"]) == [0.5, 1.0] and (clipped["outcome"] == "converged").all()
    ahead = gd.sweep("parabola", names["ahead"], x0=[2.0], learning_rate=0.1, steps=50, dtype="float64").table
    assert ahead["optimizer"][0] == "look_ahead" and ahead["g_evals"][0] == 50
    # x + v with v = 0.8 v - 0.1 · 2 (x + 0.8 v), by hand.
    x, v = 2.0, 0.0
    for _ in range(50):
        v = 0.8 * v - 0.2 * (x + 0.8 * v)
        x += v
    assert np.isclose(ahead["f_final"][0], x**2, rtol=1e-9)
    spent = names["spent"].iloc[0]
    assert 60 <= spent["f_evals"] + spent["g_evals"] < 120
    fitted = gd.sweep(names["fit"], "gd", learning_rate=0.1, steps=300).table
    # The noise has the standard deviation 0.1; the target allows a fifth more than its variance.
    assert fitted["f_final"][0] < 0.015 and fitted["f_held_out"][0] < 0.02


def test_the_entries_that_contributing_shows_are_good():
    names = run_blocks(CONTRIBUTING)
    families = [value for value in names.values() if isinstance(value, ProblemFamily)]
    rules = [value for value in names.values() if isinstance(value, Optimizer)]
    assert len(families) == 1 and len(rules) == 1
    import jax

    problem = families[0](dim=3)
    assert float(problem(problem.minimizers[0])) == problem.minimum
    assert np.allclose(jax.grad(problem)(problem.minimizers[0].astype(np.float32)), 0)
    assert float(problem(np.full(3, 2.0, np.float32), width=2.0)) == 3
    frame = gd.sweep(problem, rules[0], learning_rate=0.5, x0=[1.0, -1.0, 0.5], steps=2, paths=1).table
    assert np.allclose(np.reshape(frame["path"][0], (-1, 3))[1], [0.5, -0.5, 0.0])


def test_the_suites_that_the_readme_shows_are_valid():
    tables = [tomllib.loads(text) for _, text in blocks(README, "toml")]
    suites = [table for table in tables if "suite" in table]
    assert len(suites) == 1
    for table in suites:
        assert build_suite(table).trials
    entries = [table["problems"] for table in tables if set(table) == {"problems"}]
    assert len(entries) == 1 and all(isinstance(entry, (str, dict)) for entry in entries[0])
