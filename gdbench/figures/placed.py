"""The descents of a cell by their places in a map, read piece by piece: tens of millions of them fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.contracts import OUTCOMES
from gdbench.figures.base import Results
from gdbench.figures.choose import axes_of, floats, where
from gdbench.figures.grids import grouped_median, outcome_codes
from gdbench.figures.scale import Scale, scale_of
from gdbench.measures.base import CONVERGED, LOST, SPENT, cost_at_settle, final_gaps

PIECE = 1 << 19
"""Rows of a piece."""


def pieces(
    results: Results, cell: Mapping[str, Any], columns: Iterable[str], at: Mapping[str, float]
) -> Iterator[DataFrame]:
    """The descents of a cell where ``at`` fixes some axes, with these columns, some at a time."""
    wanted = list(dict.fromkeys([*columns, *at]))
    scan = getattr(results, "scan", None)
    if scan is None:  # results that are no stored run are small
        yield where(results.table(wanted, [cell["id"]]), at)
        return
    for batch in scan([cell["id"]]).to_batches(columns=wanted, batch_size=PIECE):
        yield where(batch.to_pandas(), at) if at else batch.to_pandas()


@dataclass(frozen=True, eq=False)
class Placed:
    """Where descents stand along two axes, and how they ended; arrays of one entry a descent.

    Attributes:
        x: index along the horizontal axis.
        y: index along the vertical one.
        scales: values of both axes.
        code: outcome, a place in OUTCOMES.
        rate: signed rate, NaN for none.
    """

    x: np.ndarray
    y: np.ndarray
    scales: tuple[Scale, Scale]
    code: np.ndarray
    rate: np.ndarray


def place(results: Results, cell: Mapping[str, Any], x: str, y: str, at: Mapping[str, float]) -> Placed | None:
    """Read the descents of a cell into a map; None where there are none.

    ``start`` is ordered by its coordinate in one dimension, else by f there (the median over instances).
    """
    flat = cell["problem"]["dim"] == 1
    key = "start_0" if flat else "f_start"
    needed = ["outcome", "rate", x, y] + ([key, "instance", "start"] if "start" in (x, y) else [])
    grids = {name: np.unique(axes_of(cell)[name]["values"]) for name in (x, y) if name != "start"}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("x", "y", "code", "rate")}
    keys: dict[tuple[int, int], float] = {}
    for piece in pieces(results, cell, needed, at):
        for axis, name in (("x", x), ("y", y)):
            values = piece[name].to_numpy()
            parts[axis].append(np.asarray(values if name == "start" else _nearest(grids[name], values), np.int32))
        parts["code"].append(outcome_codes(piece))
        single = piece["rate"].dtype == np.float32
        parts["rate"].append(piece["rate"].to_numpy(dtype=np.float32 if single else np.float64, na_value=np.nan))
        if key in piece:
            _note_starts(keys, piece, key)
    made = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    if not len(made["code"]):
        return None
    scales = []
    for axis, name in (("x", x), ("y", y)):
        made[axis], scale = (
            _starts(made[axis], keys, flat) if name == "start" else _axis(made[axis], grids[name], cell, name)
        )
        scales.append(scale)
    return Placed(made["x"], made["y"], (scales[0], scales[1]), made["code"], made["rate"])


def _nearest(grid: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Index of the nearest value of an ascending grid; equal values in a row, as slow axes have them, are looked up
    once.
    """
    middles = (grid[1:] + grid[:-1]) / 2
    begin = np.flatnonzero(np.r_[len(values) > 0, values[1:] != values[:-1]])
    if 4 * len(begin) > len(values):
        return np.searchsorted(middles, values)
    return np.repeat(np.searchsorted(middles, values[begin]), np.diff(np.r_[begin, len(values)]))


def _axis(index: np.ndarray, grid: np.ndarray, cell: Mapping[str, Any], name: str) -> tuple[np.ndarray, Scale]:
    """Indices among those values of an axis that have descents (an interrupted run lacks some)."""
    present = np.bincount(index, minlength=len(grid)) > 0
    if not present.all():
        index, grid = (np.cumsum(present) - 1)[index], grid[present]
    return index, scale_of(grid, axes_of(cell)[name]["scale"])


def _note_starts(keys: dict[tuple[int, int], float], piece: DataFrame, key: str) -> None:
    """What starts are ordered by, each once an instance."""
    instance, start = (piece[name].to_numpy(dtype=np.int64) for name in ("instance", "start"))
    width = int(start.max(initial=0)) + 1
    last = np.full((int(instance.max(initial=0)) + 1) * width, -1)
    last[instance * width + start] = np.arange(len(piece))
    places = last[last >= 0]
    keys.update(zip(zip(instance[places], start[places], strict=True), floats(piece, key)[places], strict=True))


def _starts(start: np.ndarray, keys: Mapping[tuple[int, int], float], flat: bool) -> tuple[np.ndarray, Scale]:
    numbers = np.array([number for _, number in keys])
    ordered_by = grouped_median(np.array(list(keys.values())), numbers, int(numbers.max()) + 1)
    present = np.unique(numbers)
    order = present[np.lexsort((present, ordered_by[present]))]
    place_of = np.empty(len(ordered_by), np.int32)
    place_of[order] = np.arange(len(order))
    values = ordered_by[order]
    return place_of[start], scale_of(values, "linear") if flat else Scale("rank", tuple(values.tolist()))


@dataclass(frozen=True, eq=False)
class _Settings:
    """The settings of a cell, numbered over the grid of their axes; those ``along`` a parameter first."""

    names: list[str]
    grids: list[np.ndarray]
    halved: list[str]

    @property
    def count(self) -> int:
        return int(np.prod([len(grid) for grid in self.grids], dtype=int))

    def number(self, piece: DataFrame) -> np.ndarray:
        """The number of each descent's setting."""
        flat = np.zeros(len(piece), np.int32 if self.count < 2**31 else np.int64)
        for name, grid in zip(self.names, self.grids, strict=True):
            flat = flat * len(grid) + _nearest(grid, piece[name].to_numpy()).astype(flat.dtype)
        return flat

    def judged(self, piece: DataFrame) -> np.ndarray:
        """Which descents settings are chosen on: even starts and seeds."""
        odd = [piece[name].to_numpy(dtype=int) % 2 == 1 for name in self.halved]
        return ~np.any(odd, axis=0) if odd else np.ones(len(piece), bool)


def best_settings(
    results: Results, cell: Mapping[str, Any], at: Mapping[str, float], along: str | None = None
) -> dict[float | None, dict[str, float]]:
    """What ``choose.best_setting`` says, for as many descents as there may be; for each value of a parameter ``along``.

    Shares of all settings come first; then costs of those alone that share the highest, then values of those that share
    the lowest cost too.
    """
    hyper = list(axes_of(cell, "hyperparameter"))
    names = [along, *hyper] if along else hyper
    grids = [np.unique(axes_of(cell)[name]["values"]) for name in names]
    settings = _Settings(names, grids, [name for name in ("start", "seed") if name in axes_of(cell)])
    each = len(grids[0]) if along else 1
    share, alive = _shares(results, cell, at, settings)
    left = _least(-share, share >= 0, each)
    for columns, measure in ((("outcome", *SPENT), cost_at_settle), (("outcome", "f_final", "gap_final"), final_gaps)):
        if left.sum() > each:
            medians = _medians(results, cell, at, settings, (columns, measure), left)
            left = _least(medians, left, each)
    left, alive = left.reshape(each, -1), alive.reshape(each, -1)
    found: dict[float | None, dict[str, float]] = {}
    for i in np.flatnonzero(alive.any(axis=1) & left.any(axis=1)):
        chosen = np.unravel_index(left[i].argmax(), [len(grid) for grid in grids[bool(along) :]] or [1])
        setting = zip(hyper, grids[bool(along) :], chosen, strict=False)
        found[float(grids[0][i]) if along else None] = {name: float(grid[j]) for name, grid, j in setting}
    return found


def _least(values: np.ndarray, among: np.ndarray, each: int) -> np.ndarray:
    """Which settings have the least value of those among, in each of so many parts."""
    shown = np.where(among, values, np.inf).reshape(each, -1)
    return (shown == shown.min(axis=1, keepdims=True)).ravel() & among


def _shares(
    results: Results, cell: Mapping[str, Any], at: Mapping[str, float], settings: _Settings
) -> tuple[np.ndarray, np.ndarray]:
    """Share of the judged descents of each setting that converged, -1 for none; and whether any of all was not lost."""
    flats, kinds = [np.zeros(0, np.int32)], [np.zeros(0, np.int8)]
    lost = [OUTCOMES.index(name) for name in LOST]
    for piece in pieces(results, cell, ["outcome", *settings.names, *settings.halved], at):
        code = outcome_codes(piece)
        converged = code == OUTCOMES.index(CONVERGED)
        flats.append(settings.number(piece))
        kinds.append(settings.judged(piece) + 2 * converged.astype(np.int8) + 4 * ~np.isin(code, lost))
    flat, kind = np.concatenate(flats), np.concatenate(kinds)

    def count(bits: int) -> np.ndarray:
        return np.bincount(flat[kind & bits == bits], minlength=settings.count)

    total = count(1)
    return np.where(total > 0, count(3) / np.maximum(total, 1), -1.0), count(4) > 0


def _medians(
    results: Results, cell: Mapping[str, Any], at: Mapping[str, float], settings: _Settings,
    what: tuple[tuple[str, ...], Any], left: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Medians over the judged descents of the settings that are left; infinite elsewhere."""
    columns, measure = what
    values, flats = [np.zeros(0)], [np.zeros(0, np.int32)]
    for piece in pieces(results, cell, [*columns, *settings.names, *settings.halved], at):
        flat = settings.number(piece)
        kept = settings.judged(piece) & left[flat]
        if kept.any():
            values.append(measure(piece[kept]))
            flats.append(flat[kept])
    medians = grouped_median(np.concatenate(values), np.concatenate(flats), settings.count)
    return np.where(np.isnan(medians), np.inf, medians)
