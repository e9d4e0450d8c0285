"""What a way is, and how it is timed: compilation, first run and steady runs apart."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gdbench.bench.work import Agreement, WrongAnswerError

REPETITIONS = 5
LEAST_SECONDS, MOST_REPETITIONS = 0.2, 50
"""What takes a millisecond is repeated more often, until this long has been measured."""


class UnavailableError(Exception):
    """Why a row cannot be measured here; it stands in the table in place of numbers."""


@dataclass(frozen=True, eq=False)
class Ready:
    """A way ready to run.

    Attributes:
        run: does it once; all is computed when it returns.
        best: what ``run`` returned -> the best value of every lane run.
        lanes: which lanes of the work it runs.
        compile_seconds: what getting ready took; None where nothing is compiled.
        table: does it once down to the rows of a table in memory, where a way has such; ``best`` then takes these.
    """

    run: Callable[[], Any]
    best: Callable[[Any], np.ndarray]
    lanes: np.ndarray
    compile_seconds: float | None = None
    table: Callable[[], Any] | None = None


@dataclass(frozen=True)
class Times:
    """Seconds: of the first run, and of the ones after it."""

    first: float
    steady: list[float]

    @property
    def median(self) -> float:
        """Median of the steady runs."""
        return statistics.median(self.steady)


def timed(run: Callable[[], Any], repetitions: int = REPETITIONS, patience: float = float("inf")) -> tuple[Times, Any]:
    """Time a first run and repetitions; also gives what the last one returned.

    Args:
        run: what is timed.
        repetitions: how many after the first; more where they are short.
        patience: seconds after which no further repetition is begun (there is always one).
    """
    out = None

    def once() -> float:
        nonlocal out
        out = None  # two results of ten million lanes need not fit
        begin = time.perf_counter()
        out = run()
        return time.perf_counter() - begin

    gc.collect()
    gc.disable()  # as ``timeit`` does: what a collection takes depends on what ran before
    try:
        first, steady = once(), [once()]
        while len(steady) < repetitions or (sum(steady) < LEAST_SECONDS and len(steady) < MOST_REPETITIONS):
            if first + sum(steady) > patience:
                break
            steady.append(once())
    finally:
        gc.enable()
    return Times(first, steady), out


@dataclass
class Row:
    """A line of the table, and of the JSON document: a way with what was measured, or why nothing was.

    ``seconds`` are those of ``steps`` steps in ``lanes`` lanes of ``lanes_whole``; ``table_seconds`` the same down to
    rows of a table in memory. Ratios are of lane-steps a second.
    """

    group: str
    name: str
    summary: str = ""
    lanes: int | None = None
    lanes_whole: int | None = None
    steps: int | None = None
    compile_seconds: float | None = None
    first_seconds: float | None = None
    seconds: float | None = None
    repetitions: list[float] = field(default_factory=list)
    lane_steps_per_second: float | None = None
    table_seconds: float | None = None
    table_lane_steps_per_second: float | None = None
    to_plain: float | None = None
    to_limit: float | None = None
    to_limit_of_one_core: float | None = None
    to_peer: float | None = None
    checked: int | None = None
    chaotic: int | None = None
    largest_difference: float | None = None
    value: float | None = None
    unit: str | None = None
    why: str | None = None
    failed: bool = False

    @property
    def measured(self) -> bool:
        """Whether it has a number."""
        return self.lane_steps_per_second is not None or self.value is not None

    def take(self, times: Times, lanes: int, steps: int) -> Row:
        """Fill in what was timed."""
        self.lanes, self.steps = lanes, steps
        self.first_seconds, self.seconds, self.repetitions = times.first, times.median, times.steady
        self.lane_steps_per_second = lanes * steps / times.median
        return self

    def take_table(self, times: Times) -> Row:
        """Fill in the seconds down to the table."""
        assert self.lanes is not None and self.steps is not None
        self.table_seconds = times.median
        self.table_lane_steps_per_second = self.lanes * self.steps / times.median
        return self

    def take_agreement(self, found: Agreement) -> Row:
        """Fill in how the answer was checked."""
        self.checked, self.chaotic, self.largest_difference = found.checked, found.chaotic, found.largest
        return self


def attempt(told: Row, fill: Callable[[Row], object]) -> Row:
    """Fill a row; where that cannot be done here it says why, and is failed where that is nobody's choice.

    Raises:
        WrongAnswerError: which spoils the whole table.
    """
    try:
        fill(told)
    except UnavailableError as error:
        told.why = str(error)
    except WrongAnswerError:
        raise
    except Exception as error:  # a row that fails (memory, say) leaves the others to be measured
        told.why, told.failed = one_line(error), True
    return told


def one_line(error: Exception) -> str:
    """What went wrong, on one line."""
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}".rstrip(": ")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
