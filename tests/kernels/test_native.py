"""The engine ``native`` against ``scan``: all that it takes, whole descents of it, and what it says where it is not."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax import lax

import gdbench as gd
from gdbench.catalogue import gather
from gdbench.contracts import OUTCOMES, Optimizer, ProblemFamily
from gdbench.errors import CellError, SuiteError
from gdbench.kernels import execute, llvm, native, native_program, saved, vectors
from gdbench.kernels.descent import Descent, Lane, Shared, join, numerics
from gdbench.kernels.instructions import Writer
from gdbench.kernels.layout import Shape
from gdbench.plan import plain_descent

SCRIPT = Path(__file__).parents[1] / "gpu" / "measure.py"
_spec = importlib.util.spec_from_file_location("measure", SCRIPT)
assert _spec is not None and _spec.loader is not None
measure: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(measure)

MISSING = llvm.refusal()
here = pytest.mark.skipif(MISSING is not None, reason=MISSING or "")
OPTIMIZERS = sorted(gather("gdbench.optimizers", Optimizer))
PROBLEMS = sorted(gather("gdbench.problems", ProblemFamily))
CORE = {"gd", "adam", "optax/lion", "rosenbrock", "rastrigin"}
LANES = 64
Records = dict[str, np.ndarray]


def run(descent: Descent, lane: Lane, shared: Shared, dtype: str = "float32") -> Records:
    """The records of some lanes by this engine."""
    descent.engine = "native"
    program = native_program.NativeProgram(descent, dtype, 64, -(-len(lane.x0) // 64), execute.local_devices(1))
    program.compile(shared)
    return program.fetch(program.start(lane, program.place(shared)))


def arguments(
    descent: Descent, lanes: int, rates: tuple[float, float], dtype: str = "float32"
) -> tuple[Lane, Shared]:
    """So many lanes, and what they share."""
    own, common, shared = measure.block_of(descent, lanes, dtype, rates)
    return join(own, jax.tree.map(lambda a: np.broadcast_to(a, (lanes, *np.shape(a))), common)), shared


def both(
    problem: str, optimizer: str, steps: int, full: bool, rates: tuple[float, float], dtype: str = "float32"
) -> list[Records]:
    """The records of the same lanes by ``scan`` and by this engine."""
    descent = measure.descent_of(problem, optimizer, steps, full)
    with numerics(dtype):
        scan = measure.engine(descent, "scan")(*measure.block_of(descent, LANES, dtype, rates))
        scan = {name: np.asarray(a) for name, a in scan.items()}
    return [scan, run(descent, *arguments(descent, LANES, rates, dtype), dtype)]


def agree(scan: Records, ours: Records, least: float) -> None:
    """The same record; where rounding decides, of that share of the lanes."""
    assert {n: (a.shape, a.dtype) for n, a in ours.items()} == {n: (a.shape, a.dtype) for n, a in scan.items()}
    for name, wanted in scan.items():
        if np.issubdtype(wanted.dtype, np.floating):
            same = np.isclose(ours[name], wanted, rtol=2e-3, atol=1e-6, equal_nan=True)
        else:
            same = ours[name] == wanted
        assert not same.size or same.mean() >= least, (name, same.mean())


def outcomes(records: Records) -> set[str]:
    return {OUTCOMES[n] for n in np.unique(records["outcome"])}
