"""gdbench itself, through the code that runs every suite: plan, compile, dispatch tile by tile, rows of a table."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import pyarrow as pa

from gdbench import plan
from gdbench.bench.timing import Ready, UnavailableError
from gdbench.bench.work import Work
from gdbench.cells import CellRun, Silent, prepare
from gdbench.errors import SuiteError
from gdbench.kernels import execute
from gdbench.suite import build_suite

RECORDS: Mapping[str, Any] = {"outcome": "outcome", "full": "full", "f_best": ["f_best"]}
"""What a suite's ``record`` may be, by the name of its row; one that this version does not take has no row."""


def engines() -> list[str]:
    """The engines there are, without ``fused``: the rule does not take it yet, and a CPU interprets it."""
    return [name for name in execute.ENGINES if name not in ("auto", "fused")]


def records() -> list[str]:
    """The records that a suite may ask for."""
    return [name for name, record in RECORDS.items() if _offered(record)]


def _offered(record: Any) -> bool:
    experiment = {"problems": ["parabola"], "optimizers": [{"name": "gd", "learning_rate": 0.1}], "steps": 1}
    try:
        build_suite({"suite": {"name": "bench"}, "experiment": [{**experiment, "record": record}]}, "bench")
    except SuiteError:  # this is the question: the record is not one of this version
        return False
    return True


def compiled(experiment: Mapping[str, Any], engine: str, dtype: str = "float32") -> CellRun:
    """The one cell of an experiment, compiled for all local devices."""
    header = {"name": "bench", "dtype": dtype}
    suite = build_suite({"suite": header, "experiment": [dict(experiment)]}, "bench")
    devices = execute.local_devices()
    cell = plan.make_plan(suite, devices[0].platform, engine=engine)[0]
    if isinstance(cell.error, SuiteError):  # how a plan says that an engine does not serve a descent
        raise UnavailableError(str(cell.error))
    return prepare(cell, suite.trials[0], devices).compile()


def dispatch(run: CellRun) -> None:
    """Run every row and leave the records on the devices: one dispatch runs while the next is made ready."""
    program = run.program
    width = program.blocks * program.block
    for first, last in run.cell.units():
        instance = first // run.cell.lanes_per_instance
        lanes = run.lanes(first, last, plan.thresholds(run.cell.choice, run.trial, run.cell.dtype, instance))
        shared = run.placed(instance)
        pending: deque[Any] = deque()
        for at in range(0, last - first, width):
            tile = jax.tree.map(lambda a, at=at: a[at : at + width], lanes)
            pending.append(program.start(tile, shared))
            if len(pending) > 1:
                jax.block_until_ready(pending.popleft())
        jax.block_until_ready(list(pending))


def table(run: CellRun) -> pa.Table:
    """Every row as a table in memory."""
    return pa.concat_tables([run.rows(a, b, Silent(), float("inf")) for a, b in run.cell.units()])


def best_of(rows: pa.Table) -> np.ndarray:
    """The column of best values."""
    return rows.column("f_best").to_numpy()


def experiment_of(work: Work, record: Any = "outcome") -> dict[str, Any]:
    """The work as an experiment of a suite."""
    return {
        "problems": ["rosenbrock"],
        "optimizers": [{"name": work.optimizer, "learning_rate": work.axis.astype(float).tolist()}],
        "steps": work.steps,
        "starts": {"kind": "points", "points": work.points.astype(float).tolist()},
        "record": record,
    }


def ready(work: Work, engine: str, record: str) -> Ready:
    """The work on an engine of gdbench."""
    run = compiled(experiment_of(work, RECORDS[record]), engine)
    seconds = run.timing.compile_seconds
    return Ready(lambda: dispatch(run), best_of, np.arange(work.lanes), seconds, lambda: table(run))
