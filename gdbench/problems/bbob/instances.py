"""What is drawn for one instance of a BBOB function: its optimum, its rotations, its peaks.

All of it follows from one integer, the seed, so that every implementation of BBOB has the same functions. The rules
are those of the benchmark of 2009 (its `bbob2009` generators), which COCO keeps to the last digit.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

MODULUS, MULTIPLIER = 2**31 - 1, 16807
"""Park and Miller's generator s -> 16807 s mod 2^31 - 1 (Communications of the ACM 31, 1988, 1192-1201)."""

QUOTIENT, REMAINDER = divmod(MODULUS, MULTIPLIER)
"""127773 and 2836: Schrage's way to that product without an integer beyond 32 bits."""

TABLE = 32
"""Numbers kept in the table from which the next one is drawn (Bays and Durham's shuffle)."""

SLOT = 67108865
"""A state divided by this, rounded down, is a place in the table: 2^26 + 1, so that 31 is the last one."""

LEAST = 1e-99
"""What stands for a random number that is exactly 0, whose logarithm is taken."""

SHARED = {4: 3, 18: 17}
"""Functions that have the random numbers of another one, and its f_opt."""

SECOND = 1_000_000
"""Added to the seed for the rotation R (and f12's optimum); Q has the seed itself."""


def _next(state: int) -> int:
    """The state of the generator that follows.

    Below 2^31 this is 16807 s mod 2^31 - 1. Seeds of instances from 214,748 on lie above, where it is the arithmetic
    of COCO in 64 bits.
    """
    high = state // QUOTIENT
    state = MULTIPLIER * (state - high * QUOTIENT) - REMAINDER * high
    return state + MODULUS if state < 0 else state


@functools.lru_cache(maxsize=512)
def uniform(seed: int, num: int) -> np.ndarray:
    """That many random numbers in (0, 1], shape [num], read-only."""
    state = max(abs(seed), 1)
    table = [0] * TABLE
    for place in reversed(range(TABLE + 8)):  # eight states to leave the seed behind
        state = _next(state)
        if place < TABLE:
            table[place] = state
    drawn, current = [0] * num, table[0]
    for i in range(num):
        state = _next(state)
        place = current // SLOT
        current, table[place] = table[place], state
        drawn[i] = current
    numbers = np.array(drawn, float) / MODULUS
    return _kept(np.where(numbers == 0, LEAST, numbers))


def normal(seed: int, num: int) -> np.ndarray:
    """That many standard normal numbers, shape [num], by Box and Muller's transform of 2 num uniform ones."""
    # One by one with the C library's functions: NumPy's vectorised ones may differ in the last digit between machines.
    radius, angle = uniform(seed, 2 * num).reshape(2, num).tolist()
    numbers = [math.sqrt(-2 * math.log(u)) * math.cos(2 * math.pi * v) for u, v in zip(radius, angle, strict=True)]
    return np.array([number or LEAST for number in numbers])


@functools.lru_cache(maxsize=512)
def rotation(seed: int, dim: int) -> np.ndarray:
    """An orthogonal matrix [dim, dim], read-only: the columns of a normal matrix made orthogonal from the left."""
    matrix = normal(seed, dim * dim).reshape(dim, dim).T.copy()  # drawn column by column
    for i in range(dim):
        column, later = matrix[:, i], matrix[:, i + 1 :]
        column /= math.sqrt(_total(column**2))
        later -= column[:, None] * _total(column[:, None] * later)[None, :]
    return _kept(matrix)


def _total(terms: np.ndarray) -> np.ndarray:
    """Sum over the first axis from first to last, as COCO adds: nearly dependent columns magnify another order."""
    return np.cumsum(terms, axis=0)[-1]


def spread(condition: float, dim: int) -> np.ndarray:
    """The diagonal of BBOB's Lambda^condition: condition^(i/2/(n-1)), i = 0 ... n-1, shape [dim]."""
    return math.sqrt(condition) ** fractions(dim)


def fractions(dim: int) -> np.ndarray:
    """i/(n-1), i = 0 ... n-1, shape [dim]."""
    return np.arange(dim) / (dim - 1)


def stretch(dim: int) -> float:
    """max(1, sqrt(n)/8), by which BBOB widens Rosenbrock's valley."""
    return max(1.0, math.sqrt(dim) / 8)


def _kept(array: np.ndarray) -> np.ndarray:
    """The array, read-only, for a cache hands it to several problems."""
    array.setflags(write=False)
    return array


@dataclass(frozen=True)
class Instance:
    """One instance of one function in one dimension; every number of it follows from these three."""

    function: int
    dim: int
    instance: int

    @property
    def seed(self) -> int:
        """Where the generator starts: function + 10000 instance."""
        return SHARED.get(self.function, self.function) + 10_000 * self.instance

    @property
    def f_opt(self) -> float:
        """The minimum: a quotient of two normal numbers times 100, to two decimals and within [-1000, 1000]."""
        above, below = (float(normal(seed, 1)[0]) for seed in (self.seed, self.seed + 1))
        return min(1000.0, max(-1000.0, math.floor(100 * 100 * above / below + 0.5) / 100))

    def x_opt(self, further: int = 0) -> np.ndarray:
        """A point drawn from [-4, 4]^dim to four decimals, shape [dim], and nowhere exactly 0."""
        drawn = 8 * np.floor(1e4 * uniform(self.seed + further, self.dim)) / 1e4 - 4
        return np.where(drawn == 0, -1e-5, drawn)

    @property
    def r(self) -> np.ndarray:
        """The rotation that BBOB calls R."""
        return rotation(self.seed + SECOND, self.dim)

    @property
    def q(self) -> np.ndarray:
        """The rotation that BBOB calls Q."""
        return rotation(self.seed, self.dim)

    def conditioned(self, condition: float) -> np.ndarray:
        """R Lambda^condition Q, shape [dim, dim]."""
        return (self.r * spread(condition, self.dim)[None, :]) @ self.q


@functools.lru_cache(maxsize=64)
def peaks(seed: int, dim: int, num: int) -> dict[str, np.ndarray]:
    """Gallagher's peaks: the first one is the optimum, the others are lower and lie anywhere.

    Returns x_opt [dim], the rotation [dim, dim], and, a row a peak, its centre seen from x_opt in rotated
    coordinates [num, dim], the squared widths' inverses there ``scales`` [num, dim], and its height [num].
    """
    wide = num == 101  # f21; the 21 peaks of f22 lie in a slightly smaller box and its first one is narrower
    half, first = (5.0, math.sqrt(1000)) if wide else (4.9, 1000.0)
    others = np.argsort(uniform(seed, num - 1), kind="stable") / (num - 2)
    conditions = np.concatenate([[first], 1000**others])
    heights = np.concatenate([[10.0], np.arange(num - 1) / (num - 2) * 8 + 1.1])
    orders = np.stack([np.argsort(uniform(seed + 1000 * k, dim), kind="stable") for k in range(num)])
    scales = conditions[:, None] ** (orders / (dim - 1) - 0.5)
    centres = 2 * half * uniform(seed, num * dim).reshape(num, dim) - half
    centres[0] *= 0.8  # the optimum stays within [-4, 4]
    turn = rotation(seed, dim)
    seen = (centres - centres[0]) @ turn.T
    data = {"x_opt": centres[0], "rotation": turn, "centres": seen, "scales": scales, "heights": heights}
    return {name: _kept(array) for name, array in data.items()}
