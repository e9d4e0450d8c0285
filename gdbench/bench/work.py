"""The work that every way does: descents on the Rosenbrock function, and what its answer has to be."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdbench.errors import GdbenchError

LOW, HIGH = 1e-5, 1e-2
"""The ends of the learning rates: gradient descent diverges at some of them, and from some starts."""
BOX = 2.0
"""Starts are uniform in [-2, 2]²."""
B1, B2, EPS = 0.9, 0.999, 1e-8

OPTIMIZERS = ("gd", "adam")

CHECKED = 256
"""Lanes of an answer that are compared with the reference, evenly spread."""
ROUNDING, ROUNDINGS = 1e-6, 4
"""Relative changes of every iterate that a descent must survive to be compared, some units in the last place of
float32, and how often that is tried."""
STEADY, ALLOWED, NOTHING = 1e-3, 1e-2, 1e-6
"""Relative difference of best values: below which a descent is not chaotic, and that a way may have; and a gap that
counts as none."""


class WrongAnswerError(GdbenchError):
    """A way whose best values are not those of the work: its speed says nothing."""

    exit_code = 1


@dataclass(frozen=True, eq=False)
class Work:
    """Descents on the Rosenbrock function in float32; the answer is the best value of each over x_0 … x_steps.

    Attributes:
        optimizer: "gd" or "adam".
        axis: the learning rates [r].
        points: the starts [s, 2].
        steps: of every descent.
        single: descents of the ways that take one at a time: few, for a second of them says as much as an hour.
    """

    optimizer: str
    axis: np.ndarray
    points: np.ndarray
    steps: int
    single: int = 4

    @property
    def lanes(self) -> int:
        """Descents: every learning rate from every start, starts fastest."""
        return len(self.axis) * len(self.points)

    def arguments(self, lanes: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Learning rate, x and y of some lanes (of all by default), float32 [n] each."""
        lanes = np.arange(self.lanes) if lanes is None else lanes
        at, start = np.divmod(lanes, len(self.points))
        columns = self.axis[at], self.points[start, 0], self.points[start, 1]
        return tuple(np.ascontiguousarray(column, np.float32) for column in columns)  # pyright: ignore[reportReturnType]

    def spread(self, count: int) -> np.ndarray:
        """So many lanes, evenly spread over all of them; never only those of one learning rate."""
        return np.unique(np.linspace(0, self.lanes - 1, min(count, self.lanes)).round().astype(int))


def make_work(optimizer: str, rates: int, starts: int, steps: int, single: int = 4, seed: int = 0) -> Work:
    """The work with so many learning rates and starts."""
    points = np.random.default_rng(seed).uniform(-BOX, BOX, (starts, 2)).astype(np.float32)
    return Work(optimizer, np.geomspace(LOW, HIGH, rates).astype(np.float32), points, steps, single)


def descend(
    optimizer: str, rate: np.ndarray, x: np.ndarray, y: np.ndarray, steps: int, noise: Noise | None = None
) -> np.ndarray:
    """Best values of descents by hand in NumPy, in the dtype of what it is given; ``noise`` moves every iterate."""
    best = np.full_like(x, np.inf)
    state = tuple(np.zeros_like(x) for _ in range(0 if optimizer == "gd" else 4))
    rule = _gd if optimizer == "gd" else _adam
    with np.errstate(all="ignore"):
        for k in range(1, steps + 1):
            p, q = 1 - x, y - x * x
            np.fmin(best, p * p + 100 * q * q, out=best)
            gy = 200 * q
            x, y, state = rule(rate, x, y, -2 * (p + x * gy), gy, state, k)
            if noise is not None:
                x, y = noise(x), noise(y)
        p, q = 1 - x, y - x * x
        return np.fmin(best, p * p + 100 * q * q)


Noise = Callable[[np.ndarray], np.ndarray]


def _gd(rate: Any, x: Any, y: Any, gx: Any, gy: Any, state: Any, k: int) -> Any:
    return x - rate * gx, y - rate * gy, state


def _adam(rate: Any, x: Any, y: Any, gx: Any, gy: Any, state: Any, k: int) -> Any:
    mx, my, vx, vy = state
    mx, my = B1 * mx + (1 - B1) * gx, B1 * my + (1 - B1) * gy
    vx, vy = B2 * vx + (1 - B2) * gx * gx, B2 * vy + (1 - B2) * gy * gy
    c1, c2 = 1 / (1 - B1**k), 1 / (1 - B2**k)
    x = x - rate * (c1 * mx) / (np.sqrt(c2 * vx) + EPS)
    y = y - rate * (c1 * my) / (np.sqrt(c2 * vy) + EPS)
    return x, y, (mx, my, vx, vy)


@functools.lru_cache(maxsize=64)
def _reference(work: Work, lanes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Best values in float64, and which of the lanes are steady: rounding of every iterate leaves them as they are."""
    rate, x, y = (column.astype(np.float64) for column in work.arguments(np.array(lanes)))
    exact, steady = descend(work.optimizer, rate, x, y, work.steps), np.ones(len(lanes), bool)
    for seed in range(ROUNDINGS):
        draw = np.random.default_rng(seed).uniform
        rounded = descend(
            work.optimizer, rate, x, y, work.steps,
            lambda z: z * (1 + draw(-ROUNDING, ROUNDING, z.shape)),  # noqa: B023
        )  # fmt: skip
        steady &= difference(rounded, exact) <= STEADY
    return exact, steady


def difference(found: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Relative differences of best values; gaps that count as none are equal, and what is not finite differs."""
    with np.errstate(invalid="ignore"):
        away = np.maximum(np.abs(found - exact) - NOTHING, 0) / np.maximum(np.abs(exact), NOTHING)
    return np.where(np.isfinite(found), away, np.inf)


@dataclass(frozen=True)
class Agreement:
    """How an answer was checked: lanes compared, those among them too chaotic for it, the largest difference."""

    checked: int
    chaotic: int
    largest: float


def check(name: str, work: Work, lanes: Sequence[int] | np.ndarray, best: np.ndarray) -> Agreement:
    """Compare the best values of some lanes with the reference.

    Raises:
        WrongAnswerError: naming the way and the lane that is farthest off.
    """
    lanes, best = np.asarray(lanes), np.asarray(best, float)
    if best.shape != lanes.shape:
        raise WrongAnswerError(f"{name}: {best.size} best values for {lanes.size} descents of {work.optimizer}")
    some = np.unique(np.linspace(0, len(lanes) - 1, min(CHECKED, len(lanes))).round().astype(int))
    exact, steady = _reference(work, tuple(lanes[some].tolist()))
    return agreement(f"{name} ({work.optimizer})", lanes[some], best[some], exact, steady)


def agreement(name: str, lanes: np.ndarray, best: np.ndarray, exact: np.ndarray, steady: np.ndarray) -> Agreement:
    """How far steady lanes are from what they should be.

    Raises:
        WrongAnswerError: where one is too far, naming it and the way.
    """
    off = np.where(steady, difference(best, exact), 0.0)
    worst = int(np.argmax(off))
    if off[worst] > ALLOWED:
        raise WrongAnswerError(
            f"{name} gives a wrong answer: best value {best[worst]:.6g} of descent {lanes[worst]}, "
            f"should be {exact[worst]:.6g}"
        )
    return Agreement(len(lanes), int(np.sum(~steady)), float(off[worst]))
