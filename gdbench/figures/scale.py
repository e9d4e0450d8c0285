"""Where the values of an axis stand in a map.

A log axis is sampled uniformly in log10, so a map draws it with its log10 extent; giving an image a logarithmic
axis instead would silently warp it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axis import Axis
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, LogLocator, NullFormatter

from gdbench.figures.style import number, power_of_ten


@dataclass(frozen=True)
class Scale:
    """Values in ascending order and how they are spaced: evenly in log10, evenly, or one after the other.

    Attributes:
        kind: 'log', 'linear' or 'rank' (an irregular list: place = index).
        values: the values, ascending.
    """

    kind: Literal["log", "linear", "rank"]
    values: tuple[float, ...]

    def position(self, value: float | np.ndarray) -> np.ndarray:
        """Where values stand on the axis; NaN outside what the axis can show."""
        value = np.asarray(value, dtype=float)
        if self.kind == "linear":
            return value
        if self.kind == "log":
            return np.log10(np.where(value > 0, value, np.nan))
        inside = (value >= self.values[0]) & (value <= self.values[-1])
        return np.where(inside, np.interp(value, self.values, np.arange(len(self.values))), np.nan)

    @property
    def places(self) -> np.ndarray:
        """Where the axis's own values stand."""
        return np.arange(len(self.values), dtype=float) if self.kind == "rank" else self.position(np.array(self.values))

    def extent(self, stride: int = 1) -> tuple[float, float]:
        """Outer edges of the pixels, where ``stride`` values share a pixel (the last may be filled in part)."""
        places = self.places
        step = (places[-1] - places[0]) / max(len(places) - 1, 1) or 1.0
        pixels = -(-len(places) // stride)
        low = places[0] - step / 2
        return low, low + pixels * stride * step

    def inside(self, value: float) -> bool:
        """Whether a value lies within the axis."""
        low, high = self.extent()
        place = float(self.position(value))
        return bool(low <= place <= high)

    def tick(self, axis: Axis) -> None:
        """Put ticks and their labels on a matplotlib axis drawn in these places."""
        if self.kind == "log":
            _tick_log(axis, *self.extent())
        elif self.kind == "rank":
            shown = np.unique(np.linspace(0, len(self.values) - 1, min(len(self.values), 7)).round().astype(int))
            axis.set_major_locator(FixedLocator(shown.tolist()))
            axis.set_major_formatter(FixedFormatter([number(self.values[i]) for i in shown]))


def scale_of(values: np.ndarray, hint: str) -> Scale:
    """The scale of ascending values; ``hint`` is the axis's own word ('log', 'linear' or 'list').

    A short list keeps one place a value, so that each can be labelled.
    """
    values = np.asarray(values, dtype=float)
    short_list = hint == "list" and len(values) <= 6
    kind: Literal["log", "linear", "rank"] = "rank"
    if not short_list and hint != "log" and _even(values):
        kind = "linear"
    elif not short_list and bool(np.all(values > 0)) and _even(np.log10(values)):
        kind = "log"
    elif not short_list and _even(values):
        kind = "linear"
    return Scale(kind, tuple(values.tolist()))


def tick_plain(axis: Axis) -> None:
    """Label a logarithmic axis of at most two decades with plain numbers instead of powers of ten."""
    low, high = sorted(axis.get_view_interval())
    if low <= 0 or axis.get_scale() != "log" or high / low > 100:
        return
    axis.set_major_locator(LogLocator(subs=[1.0, 2.0, 5.0] if high / low > 5 else [float(n) for n in range(1, 10)]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axis.set_minor_formatter(NullFormatter())


def _even(places: np.ndarray) -> bool:
    steps = np.diff(places)
    # float32 values of a float64 grid are off by 1e-7 of their size, many steps' worth in a fine grid.
    return len(steps) > 0 and steps.min() > 0 and np.ptp(steps) <= 1e-2 * steps.mean()


def _tick_log(axis: Axis, low: float, high: float) -> None:
    decades = np.arange(np.ceil(low), np.floor(high) + 1)
    if len(decades) >= 2:
        shown = decades[:: int(np.ceil(len(decades) / 7))]
        labels = [power_of_ten(int(d)) for d in shown]
    else:
        ladder = np.array([m * 10.0**d for d in range(int(np.floor(low)), int(np.ceil(high))) for m in (1, 2, 3, 5, 7)])
        shown = np.log10(ladder[(ladder >= 10**low) & (ladder <= 10**high)])
        labels = [number(10**place) for place in shown]
    axis.set_major_locator(FixedLocator(shown.tolist()))
    axis.set_major_formatter(FixedFormatter(labels))
    if len(decades) >= 2 and high - low <= 7:
        minor = (np.floor(low) + np.arange(np.ceil(high - low) + 1))[:, None] + np.log10(np.arange(2, 10))
        axis.set_minor_locator(FixedLocator(minor[(minor > low) & (minor < high)].tolist()))
