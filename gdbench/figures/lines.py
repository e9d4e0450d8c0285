"""What the line figures share: bands over descents, limits of logarithmic axes, one legend a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from pandas import DataFrame

from gdbench.figures.base import Picture, Results
from gdbench.figures.style import entries_belong, line_handles, number, optimizer_style

BAND: dict[str, Any] = {"alpha": 0.17, "linewidth": 0}
QUANTILES = (0.2, 0.5, 0.8)


def run_styles(results: Results) -> dict[str, dict[str, Any]]:
    """The style of each optimizer of a run, the same in all its figures."""
    return optimizer_style(cell["optimizer"]["label"] for cell in results.cells)


def band(groups: Any) -> list[pd.Series]:
    """20%, 50% and 80% of grouped values, each one of the values: infinite ones cannot be interpolated."""

    def quantiles(values: pd.Series) -> pd.Series:
        return pd.Series(np.quantile(values.to_numpy(), QUANTILES, method="inverted_cdf"), index=list(QUANTILES))

    table = groups.apply(quantiles).unstack()
    return [table[q] for q in QUANTILES]


def case_title(at: Mapping[str, float] | None) -> str:
    """What a panel holds fixed."""
    return ", ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in (at or {}).items())


def log_limits(values: np.ndarray, tolerance: float | None) -> tuple[float, float, dict[str, Any]]:
    """Limits of a value axis and the arguments of ``set_yscale``: logarithmic where all values are positive.

    A tolerance says that the values are gaps: one below 0 is rounding, and far below the tolerance they mean nothing
    more, so the axis ends eight decades under it.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 1e-1, 1e1, {"value": "log"}
    if finite.min() < 0 and tolerance is None:
        size = np.abs(finite[finite != 0])
        scale = {"value": "symlog", "linthresh": float(np.quantile(size, 0.1))}
        margin = 0.05 * (finite.max() - finite.min()) or 1.0
        return float(finite.min() - margin), float(finite.max() + margin), scale
    positive = finite[finite > 0]
    floor = tolerance * 1e-8 if tolerance else 0.0
    low = max(positive.min(initial=np.inf), floor) if len(positive) else max(floor, 1e-16)
    low = low if np.isfinite(low) else 1e-16
    high = max(positive.max(initial=0.0), low * 10, (tolerance or 0.0) * 10)
    return float(low) / 2, float(high) * 3, {"value": "log"}


LEGEND_ROOM = 3
"""Rows of a legend that a picture's margin holds."""


def legend_layout(labels: Sequence[str], width: float) -> tuple[int, float]:
    """Columns and type size of a legend under a picture ``width`` inches wide."""
    size = 8.5 if len(labels) <= 8 else 7.5
    # A letter is about 0.0077 of its size in inches wide; the sample of the line comes before it.
    each = 0.0077 * size * max(map(len, labels)) + 0.55
    return int(np.clip(width // each, 1, len(labels))), size


def extra_height(frames: list[DataFrame]) -> float:
    """Inches that the legend of one panel needs beyond the margin."""
    if len(frames) > 1:
        return 0.0
    return legend_height([*frames[0].attrs["texts"].values(), "20–80% of the descents", "tolerance"])


def legend_height(labels: Sequence[str]) -> float:
    """Inches that a legend needs beyond the margin of a picture of one panel."""
    columns, size = legend_layout(labels, 6.4)
    rows = -(-len(labels) // columns)
    return max(rows - LEGEND_ROOM, 0) * size * 1.6 / 72


def legend(picture: Picture, frames: list[DataFrame], extra: Sequence[Artist]) -> None:
    """One legend under a picture: the optimizers, with their settings where there is one panel."""
    if len(frames) == 1:
        texts = frames[0].attrs["texts"]
    else:
        texts = {label: label for frame in frames for label in frame.attrs["texts"]}
    handles = [*line_handles(texts, frames[0].attrs["styles"]), *extra]
    columns, size = legend_layout([str(handle.get_label()) for handle in handles], picture.get_size_inches()[0])
    entries = picture.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=size)
    entries_belong(entries, texts)
