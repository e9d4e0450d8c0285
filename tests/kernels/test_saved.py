"""Programs kept between processes: found again, replaced where broken, never of code that is not known."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import pandas as pd
import pytest

import gdbench as gd
from gdbench import plan
from gdbench.choices import resolve_optimizer
from gdbench.kernels import execute, native, saved

GRID: dict[str, Any] = {"learning_rate": [1e-3, 1e-2]}
# Each test has steps of its own: what JAX took from its own cache is not kept.


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder of programs of its own, and a count of what is compiled."""
    monkeypatch.setenv("GDBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(execute, "_judges", {})
    monkeypatch.setattr(native, "pays", lambda _: False)  # XLA's programs are meant; the code of ``native`` is its own
    compiled, build = [], execute.Program._compile_cell

    def counted(program: execute.Program, *arguments: Any) -> Any:
        compiled.append(program)
        return build(program, *arguments)

    monkeypatch.setattr(execute.Program, "_compile_cell", counted)
    yield tmp_path / "programs", compiled
    saved.use(None)


def programs(folder: Path) -> list[Path]:
    """The files of programs in a folder."""
    return [path for path in folder.iterdir() if path.suffix != ".jsonl"]


@pytest.mark.slow
def test_a_program_is_found_again(folder: Any) -> None:
    place, compiled = folder
    first = gd.sweep("rosenbrock", "gd", **GRID, steps=43).table
    assert len(compiled) == 1 and len(programs(place)) == 2  # the cell's and its judge
    execute._judges.clear()
    again = gd.sweep("rosenbrock", "gd", **GRID, steps=43).table
    assert len(compiled) == 1
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    gd.sweep("rosenbrock", "gd", **GRID, steps=41)
    gd.sweep("rosenbrock", "gd", **GRID, steps=43, dtype="float64")
    gd.sweep("rosenbrock", "adam", **GRID, steps=43)
    assert len(compiled) == 4


@pytest.mark.slow
def test_a_program_that_calls_lapack_is_found_again_by_another_process(tmp_path: Path) -> None:
    """In the second process nothing is traced, so that nothing but gdbench has LAPACK ready."""
    code = (
        "import gdbench as gd; from gdbench.kernels import execute; n = [0]; build = execute.Program._compile_cell\n"
        "def counted(*a): n[0] += 1; return build(*a)\n"
        "execute.Program._compile_cell = counted\n"
        "t = gd.sweep('rosenbrock', 'newton', learning_rate=[0.5, 1.0], steps=37).table\n"
        "print(n[0], t['f_best'].tolist())"
    )
    told = []
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "GDBENCH_CACHE": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stderr
        told.append(run.stdout.split(maxsplit=1))
    assert told == [["1", told[0][1]], ["0", told[0][1]]]


@pytest.mark.slow
def test_a_broken_program_is_compiled_again(folder: Any) -> None:
    place, compiled = folder
    first = gd.sweep("rosenbrock", "gd", **GRID, steps=47).table
    assert len(programs(place)) == 2
    for path in programs(place):
        path.write_bytes(path.read_bytes()[:100])
    (place / "facts.jsonl").write_text('["half')
    saved.use(place)
    execute._judges.clear()
    pd.testing.assert_frame_equal(first, gd.sweep("rosenbrock", "gd", **GRID, steps=47).table, check_exact=True)
    assert len(compiled) == 2
    # What JAX took from its own cache cannot be kept: it is not, and runs each time.
    execute._judges.clear()
    pd.testing.assert_frame_equal(first, gd.sweep("rosenbrock", "gd", **GRID, steps=47).table, check_exact=True)


def test_a_folder_that_cannot_be_written_costs_nothing(folder: Any) -> None:
    place, compiled = folder
    place.write_text("a file where the folder should be")
    assert len(gd.sweep("rosenbrock", "gd", **GRID, steps=53).table) == 2 and len(compiled) == 1


def test_code_from_elsewhere_is_not_kept(folder: Any) -> None:
    place, compiled = folder
    for _ in range(2):
        gd.sweep(lambda x: jnp.sum(x**2), "gd", x0=[1.0, 2.0], **GRID, steps=59)
    assert len(compiled) == 2
    theirs = gd.optimizer(lambda x: (), lambda oracle, x, state, learning_rate=0.1: (x * learning_rate, state))
    assert plan._identity_of(gd.problem("rosenbrock"), theirs) is None
    assert plan._identity_of(gd.problem("rosenbrock"), resolve_optimizer("optax/adam")) is not None


def test_another_compiler_or_code_is_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    same = saved.key_of("cell", 1)
    assert saved.key_of("cell", 1) == same != saved.key_of("cell", 2)
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    saved._machine.cache_clear()
    try:
        assert saved.key_of("cell", 1) != same
    finally:
        monkeypatch.undo()
        saved._machine.cache_clear()
