"""Axes, their product, and starting points.

The rows of a grid run over the instance first, then hyperparameters in the order given, problem parameters, seeds, and
starts fastest: descents that lie together have the same setting and tend to end alike.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gdbench.contracts import Problem
from gdbench.errors import SuiteError

Kind = Literal["hyperparameter", "parameter", "instance", "start", "seed"]


@dataclass(frozen=True)
class Values:
    """The values of an axis, and how they are spaced ('log', 'linear' or 'list')."""

    values: tuple[float, ...]
    scale: str = "list"

    def __len__(self) -> int:
        return len(self.values)


def log_axis(low: float, high: float, num: int) -> Values:
    """``num`` values from low to high, equally spaced in their logarithm, both ends included."""
    _check_ends(low, high, num)
    if not (low > 0 and high > 0):
        raise SuiteError([f"a log axis needs ends above 0, got {low:g} and {high:g}"])
    return Values(tuple(np.geomspace(low, high, num).tolist()), "log")


def linear_axis(low: float, high: float, num: int) -> Values:
    """``num`` equally spaced values from low to high, both ends included."""
    _check_ends(low, high, num)
    return Values(tuple(np.linspace(low, high, num).tolist()), "linear")


MOST_VALUES = 10_000_000


def _check_ends(low: float, high: float, num: int) -> None:
    if isinstance(num, bool) or not isinstance(num, int) or not 1 <= num <= MOST_VALUES:
        raise SuiteError([f"num must be a whole number of at least 1 and at most {MOST_VALUES:,}, got {num!r}"])
    if not (math.isfinite(low) and math.isfinite(high)):
        raise SuiteError([f"the ends of an axis must be finite, got {low:g} and {high:g}"])
    if low == high and num > 1:
        raise SuiteError([f"an axis names each value once, got {num} values from {low:g} to {high:g}"])


def as_values(given: Any) -> Values:
    """An axis from a number, a list of numbers, ``{log = [a, b], num = n}``, ``{linear = …}`` or Values."""
    if isinstance(given, Values):
        return given
    if isinstance(given, Mapping):
        return _from_table(given)
    if isinstance(given, np.ndarray):
        given = given.tolist()
    numbers = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    if not numbers:
        raise SuiteError(["an axis needs at least one value, got an empty list"])
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, (int, float, np.integer, np.floating)):
            raise SuiteError([f"an axis holds numbers, got {number!r}"])
        if not _finite(number):
            raise SuiteError([f"an axis holds finite numbers, got {number!r}"])
    if len(set(map(float, numbers))) < len(numbers):
        raise SuiteError([f"an axis names each value once, got {given!r}"])
    return Values(tuple(float(v) for v in numbers))


def _from_table(table: Mapping[str, Any]) -> Values:
    spacing = [key for key in ("log", "linear") if key in table]
    if len(spacing) != 1 or set(table) != {spacing[0], "num"}:
        raise SuiteError([f"an axis is {{ log = [low, high], num = n }} or {{ linear = … }}, got {dict(table)!r}"])
    ends = table[spacing[0]]
    pair = isinstance(ends, Sequence) and len(ends) == 2
    numbers = pair and all(type(e) in (int, float) and _finite(e) for e in ends)
    if not numbers:
        raise SuiteError([f"{spacing[0]} takes two numbers, [low, high], both finite, got {ends!r}"])
    return (log_axis if spacing[0] == "log" else linear_axis)(float(ends[0]), float(ends[1]), table["num"])


def _finite(number: Any) -> bool:
    try:
        return math.isfinite(float(number))
    except OverflowError:  # a whole number beyond every float
        return False


@dataclass(frozen=True)
class Axis:
    """A named list of values that a grid runs over."""

    name: str
    kind: Kind
    values: Values

    def __len__(self) -> int:
        return len(self.values)

    @functools.cached_property
    def array(self) -> np.ndarray:
        """The values, float64 (of starts, seeds and instances whole numbers)."""
        return np.asarray(self.values.values)


@dataclass(frozen=True)
class Grid:
    """The product of axes; a row is a descent, the last axis runs fastest."""

    axes: tuple[Axis, ...]

    @property
    def size(self) -> int:
        """Number of rows."""
        return math.prod(len(axis) for axis in self.axes)

    def indices(self, first: int, last: int) -> dict[str, np.ndarray]:
        """Position on every axis of the rows first ≤ row < last, int32 arrays."""
        left = np.arange(first, last, dtype=np.int32 if self.size < 2**31 else np.int64)
        found: dict[str, np.ndarray] = {}
        for axis in reversed(self.axes):
            if len(axis) == 1:
                found[axis.name] = np.broadcast_to(np.int32(0), left.shape)
                continue
            # Faster than np.unravel_index: a division by one number is vectorized, a remainder is not.
            above = left // len(axis)
            found[axis.name] = (left - above * len(axis)).astype(np.int32, copy=False)
            left = above
        return {axis.name: found[axis.name] for axis in self.axes}

    def coordinates(self, first: int, last: int) -> dict[str, np.ndarray]:
        """Value on every axis of the rows first ≤ row < last."""
        indices = self.indices(first, last)
        return {axis.name: axis.array[indices[axis.name]] for axis in self.axes}


START_KINDS = ("sobol", "grid", "box", "ball", "points", "default")
MOST_STARTS = 10_000_000
SOBOL_DIMENSIONS = 21_201


@dataclass(frozen=True)
class Starts:
    """Where the descents begin.

    Attributes:
        kind: 'sobol' (scrambled, over the problem's box), 'grid' (``num`` points a coordinate, or a list of counts),
            'box' (uniform over it), 'ball' (uniform in a ball), 'points' (given), 'default' (the problem's own).
        num: how many.
        points: the points of kind 'points', [n][dim].
        center: centre of the ball (the problem's default start).
        radius: radius of the ball.
    """

    kind: str = "default"
    num: int | tuple[int, ...] = 1
    points: tuple[tuple[float, ...], ...] = ()
    center: tuple[float, ...] | None = None
    radius: float | None = None

    def describe(self) -> dict[str, Any]:
        """A plain description, for the resolved suite."""
        shown = {"kind": self.kind, "num": list(self.num) if isinstance(self.num, tuple) else self.num}
        shown |= {"points": [list(p) for p in self.points]} if self.points else {}
        shown |= {"center": list(self.center)} if self.center else {}
        return shown | ({"radius": self.radius} if self.radius is not None else {})

    def faults(self, problem: Problem) -> list[str]:
        """What keeps these starts from being used on a problem."""
        if self.kind in ("sobol", "grid", "box") and problem.box is None:
            return [f"starts of kind {self.kind!r} need a box, and {problem.label} has none: use 'points' or 'ball'"]
        faults = []
        if self.kind == "sobol" and problem.dim > SOBOL_DIMENSIONS:
            faults.append(
                f"starts of kind 'sobol' have at most {SOBOL_DIMENSIONS:,} coordinates, {problem.label} {problem.dim:,}"
            )
        for i, point in enumerate(self.points):
            if len(point) != problem.dim:
                faults.append(f"start {i} has {len(point)} coordinates, {problem.label} has dimension {problem.dim}")
        if self.center is not None and len(self.center) != problem.dim:
            faults.append(f"center has {len(self.center)} coordinates, {problem.label} has dimension {problem.dim}")
        if isinstance(self.num, tuple) and len(self.num) != problem.dim:
            faults.append(f"num has {len(self.num)} entries, {problem.label} has dimension {problem.dim}")
        if not faults and self.count(problem) > MOST_STARTS:
            faults.append(f"{self.count(problem):,} starts on {problem.label}, the most is {MOST_STARTS:,}")
        return faults

    def count(self, problem: Problem) -> int:
        """How many starts there are on a problem."""
        if self.kind == "grid":
            return math.prod(self.num) if isinstance(self.num, tuple) else self.num**problem.dim
        if self.kind == "points":
            return len(self.points)
        return 1 if self.kind == "default" else int(self.num)  # pyright: ignore[reportArgumentType]

    def draw(self, problem: Problem, seed: int) -> np.ndarray:
        """The starts, float64 [n, dim]. More starts leave the earlier ones as they were (but for kind 'grid')."""
        n, dim = self.count(problem), problem.dim
        if self.kind == "points":
            return np.array(self.points, float)
        if self.kind == "default":
            return default_start(problem)[None]
        if self.kind == "ball":
            return self._ball(problem, seed, n)
        assert problem.box is not None
        low, high = (np.broadcast_to(np.asarray(end, float), (dim,)) for end in problem.box)
        if self.kind == "grid":
            counts = self.num if isinstance(self.num, tuple) else (self.num,) * dim
            lines = [np.linspace(a, b, c) if c > 1 else np.array([(a + b) / 2]) for a, b, c in zip(low, high, counts)]  # noqa: B905
            return np.stack([line.ravel() for line in np.meshgrid(*lines, indexing="ij")], axis=1)
        unit = _sobol(n, dim, seed) if self.kind == "sobol" else np.random.default_rng(seed).random((n, dim))
        return low + (high - low) * unit

    def _ball(self, problem: Problem, seed: int, n: int) -> np.ndarray:
        # Directions and radii from two streams, so that a longer list begins with the shorter one.
        direction, radius = (np.random.default_rng([seed, stream]) for stream in (0, 1))
        steps = direction.standard_normal((n, problem.dim))
        steps /= np.linalg.norm(steps, axis=1, keepdims=True)
        center = default_start(problem) if self.center is None else np.array(self.center)
        return center + (self.radius or 0) * steps * radius.random((n, 1)) ** (1 / problem.dim)


def _sobol(n: int, dim: int, seed: int) -> np.ndarray:
    from scipy.stats import qmc  # takes 0.7 s to import, and only runs need it

    return qmc.Sobol(dim, scramble=True, rng=np.random.default_rng(seed)).random_base2(max(0, (n - 1).bit_length()))[:n]


def default_start(problem: Problem) -> np.ndarray:
    """The problem's own start, else the centre of its box, else the origin; float64 [dim]."""
    if problem.start is not None:
        return np.asarray(problem.start, float)
    if problem.box is not None:
        return np.broadcast_to(
            (np.asarray(problem.box[0], float) + np.asarray(problem.box[1], float)) / 2, (problem.dim,)
        )
    return np.zeros(problem.dim)


def starts(kind: str = "sobol", num: int | Sequence[int] = 1, **options: Any) -> Starts:
    """Starting points for a sweep; see ``Starts`` for the kinds and their options."""
    return as_starts({"kind": kind, "num": num, **options})


def as_starts(given: Any) -> Starts:
    """Starts from a table of a suite, from Starts, or from an array of points [n, dim]."""
    if isinstance(given, Starts):
        return given
    if not isinstance(given, Mapping):
        given = {"kind": "points", "points": np.atleast_2d(np.asarray(given, float)).tolist()}
    return _starts_from_table(dict(given))


_ALLOWED = {
    "sobol": {"num"}, "grid": {"num"}, "box": {"num"}, "ball": {"num", "center", "radius"}, "points": {"points"},
    "default": set(),
}  # fmt: skip


def _starts_from_table(table: dict[str, Any]) -> Starts:
    from gdbench.errors import did_you_mean

    kind = table.pop("kind", "points" if "points" in table else None)
    if kind not in START_KINDS:
        raise SuiteError([f"starts of kind {kind!r} are unknown: {did_you_mean(str(kind), START_KINDS)}"])
    if table.get("num") == 1 and kind in ("default", "points"):
        table.pop("num")
    for key in table:
        if key not in _ALLOWED[kind]:
            raise SuiteError([f"starts of kind {kind!r} take no {key!r}: {did_you_mean(key, _ALLOWED[kind])}"])
    if kind not in ("default", "points"):
        num = table.get("num")
        counts = list(num) if isinstance(num, (list, tuple)) and kind == "grid" else [num]
        if not counts or any(type(c) is not int or c < 1 for c in counts):
            raise SuiteError([f"starts.num must be a whole number of at least 1, got {num!r}"])
        table["num"] = tuple(counts) if isinstance(num, (list, tuple)) else num
    if kind == "ball" and not _positive(table.get("radius")):
        raise SuiteError([f"starts of kind 'ball' need a radius above 0, got {table.get('radius')!r}"])
    if kind == "points":
        table["points"] = _points(table.get("points"))
    if table.get("center") is not None:
        table["center"] = _points([table["center"]])[0]
    return Starts(kind, **table)


def _positive(number: Any) -> bool:
    return type(number) in (int, float) and _finite(number) and number > 0


def _points(given: Any) -> tuple[tuple[float, ...], ...]:
    given = given.tolist() if isinstance(given, np.ndarray) else given
    if given is not None and not isinstance(given, (list, tuple)):
        raise SuiteError([f"points is a list of points, got {given!r}"])
    rows = [row if isinstance(row, (list, tuple)) else [row] for row in given or []]
    if not rows:
        raise SuiteError(["starts of kind 'points' need at least one point"])
    for i, row in enumerate(rows):
        for j, number in enumerate(row):
            if type(number) not in (int, float) or not _finite(number):
                raise SuiteError([f"coordinate {j} of start {i} must be a finite number, got {number!r}"])
    return tuple(tuple(float(v) for v in row) for row in rows)
