"""Figure 5: how sensitive is the result to the learning rate?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch
from matplotlib.transforms import Affine2DBase, ScaledTranslation, blended_transform_factory
from pandas import DataFrame

from gdbench.figures.base import Figure, Picture, Results
from gdbench.figures.choose import (
    RECORD,
    axes_of,
    best_setting,
    cells_of,
    failed,
    final_value,
    floats,
    heading,
    keep,
    parameter_values,
    places,
    ran,
    rows,
    shown_on,
    where,
)
from gdbench.figures.lines import BAND, band, case_title, extra_height, legend, log_limits, run_styles
from gdbench.figures.scale import tick_plain
from gdbench.figures.style import belongs, number
from gdbench.measures.base import converged
from gdbench.measures.usable_width import usable_rates

RATE = "learning_rate"
PAPER: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.4}


FEWEST_RATES = 3
"""Two rates make a line whatever lies between them."""


def cases(results: Results) -> list[dict[str, Any]]:
    """One a problem whose cells have at least three learning rates, and one a value of its parameter."""
    none: dict[str, Any] = {"values": []}
    with_rates = [
        cell for cell in ran(results) if len(axes_of(cell, "hyperparameter").get(RATE, none)["values"]) >= FEWEST_RATES
    ]
    found = []
    for where_ in places(with_rates):
        cell = cells_of(results, *where_)[0]
        case = dict(zip(("experiment", "problem", "dtype"), where_, strict=True))
        found += [case | ({"at": at} if at else {}) for at in parameter_values(cell)]
    return found


def data(
    results: Results, experiment: str, problem: str, dtype: str, at: Mapping[str, float] | None = None
) -> DataFrame:
    """Final gap by learning rate for every optimizer: median and 20-80% band over starts, seeds and instances.

    Further hyperparameters are held at the best setting; the band is then over held-out starts.

    Args:
        results: a run.
        experiment: name of the experiment.
        problem: label of the problem.
        dtype: 'float32' or 'float64'.
        at: values at which the problem's parameters are held.

    Returns:
        A row an optimizer and rate: ``optimizer``, ``learning_rate``, ``low``, ``median``, ``high`` (infinite where
        that many descents failed), ``converged`` and ``failed`` (shares), ``descents``, and the ends of the usable
        rates ``usable_low``, ``usable_high`` (NaN for none).
    """
    parts, texts, what = [], {}, "gap_final"
    for cell in cells_of(results, experiment, problem, dtype):
        if RATE not in axes_of(cell, "hyperparameter"):
            continue
        table = rows(results, cell, RECORD, at)
        if table.empty:
            continue
        best = best_setting(table, cell) or {}
        others = {name: value for name, value in best.items() if name != RATE}
        table = where(shown_on(table)[0] if others else table, others)
        what = final_value(table)[1]
        label = cell["optimizer"]["label"]
        parts.append(_by_rate(table).assign(optimizer=label))
        held = ", ".join(f"{name} {number(value)}" for name, value in others.items())
        texts[label] = label + (f" ({held}, best)" if held else "")
    if not parts:
        return DataFrame()
    frame = pd.concat(parts, ignore_index=True)
    frame.insert(0, "optimizer", frame.pop("optimizer"))
    cell = cells_of(results, experiment, problem, dtype)[0]
    frame.attrs = {
        "heading": heading(experiment, problem, dtype),
        "title": case_title(at),
        "texts": texts,
        "styles": run_styles(results),
        "value": "final gap" if what == "gap_final" else "final value",
        "tolerance": cell["problem"]["tolerance"] if what == "gap_final" else None,
    }
    return frame


def draw(ax: Axes, frame: DataFrame) -> None:
    """Medians and bands; above them a strip of usable rates and of the share of descents that failed."""
    bottom, top, kind = log_limits(frame[["low", "median", "high"]].to_numpy(), frame.attrs["tolerance"])
    ax.set_xscale("log")
    ax.set_yscale(**kind)
    ax.set_ylim(bottom, top)
    # An infinite value leaves through the top edge, and the clipped line shows where.
    beyond = top * 1e3 if top > 0 else top + 1e3 * (top - bottom)
    for label, group in frame.groupby("optimizer", sort=False, observed=True):
        style = frame.attrs["styles"][label]
        low, middle, high = (np.clip(floats(group, name), bottom, beyond) for name in ("low", "median", "high"))
        belongs(ax.fill_between(group[RATE], low, high, color=style["color"], **BAND), str(label))
        belongs(ax.plot(group[RATE], middle, label=label, **style), str(label))
    if frame.attrs["tolerance"]:
        ax.axhline(frame.attrs["tolerance"], color="0.5", lw=0.8, ls=":", zorder=0)
    rates = frame[RATE]
    ax.set(xlabel="learning rate", ylabel=frame.attrs["value"], xlim=(rates.min(), rates.max()))
    tick_plain(ax.xaxis)
    tick_plain(ax.yaxis)
    _draw_strip(ax, frame)


def finish(picture: Picture, axes: list[Axes], frames: list[DataFrame]) -> None:
    """One legend for all panels."""
    extra = [Patch(fc="0.5", alpha=0.3, lw=0, label="20–80% of the descents")]
    legend(picture, frames, extra)


def _by_rate(table: DataFrame) -> DataFrame:
    value, _ = final_value(table)
    frame = DataFrame({RATE: table[RATE].to_numpy(dtype=float), "value": value})
    frame["converged"], frame["failed"] = converged(table), failed(table)
    groups = frame.groupby(RATE, sort=True)
    low, middle, high = band(groups["value"])
    shares = groups.agg({"converged": "mean", "failed": "mean"})
    usable = usable_rates(table)
    return DataFrame(
        {
            RATE: middle.index.to_numpy(),
            "low": low.to_numpy(),
            "median": middle.to_numpy(),
            "high": high.to_numpy(),
            "converged": floats(shares, "converged"),
            "failed": floats(shares, "failed"),
            "descents": np.asarray(groups.size()),
            "usable_low": np.nan if usable is None or usable.low is None else usable.low,
            "usable_high": np.nan if usable is None or usable.high is None else usable.high,
        }
    )


def strip_height(frame: DataFrame) -> float:
    """Inches of the strip above a panel, one line an optimizer."""
    return max(0.13 * len(frame["optimizer"].unique()), 0.26)


def _draw_strip(ax: Axes, frame: DataFrame) -> None:
    """A strip above the axes, one line an optimizer: a bar over the usable rates, a tint where descents failed."""
    labels = list(dict.fromkeys(frame["optimizer"]))
    figure = ax.get_figure(root=True)
    assert figure is not None, "axes are drawn on a figure"
    # Measured in inches upwards from the top of the axes, so that a line has the same height in every picture.
    inches = figure.dpi_scale_trans + ScaledTranslation(0, 1, cast(Affine2DBase, ax.transAxes))
    place = blended_transform_factory(ax.transAxes, inches)
    strip = ax.inset_axes((0, 0.06, 1, strip_height(frame)), transform=place)
    strip.set_xscale("log")
    strip.set(xlim=ax.get_xlim(), ylim=(len(labels), 0), xticks=[], yticks=[])
    strip.tick_params(which="both", bottom=False, labelbottom=False)
    strip.spines[:].set_color("0.8")
    strip.set_ylabel("usable ▬\ndiverged ■", rotation=0, ha="right", va="center", fontsize=6.5, labelpad=3)
    for row, label in enumerate(labels):
        group, colour = keep(frame, frame["optimizer"] == label), frame.attrs["styles"][label]["color"]
        _paint_failed(strip, row, group, colour)
        belongs(_paint_usable(strip, row, group, colour), label)


def _paint_failed(strip: Axes, row: int, group: DataFrame, colour: str) -> None:
    """Shares as opacity: white none, full colour all."""
    middles = np.log10(floats(group, RATE))
    edges = np.r_[middles[0], (middles[1:] + middles[:-1]) / 2, middles[-1]]
    share = floats(group, "failed")
    # Neighbours of one share are one bar: between two of them light would shine through.
    first = np.flatnonzero(np.r_[True, share[1:] != share[:-1]])
    ends = 10 ** edges[np.r_[first, len(share)]]
    rgba = np.column_stack([np.tile(to_rgb(colour), (len(first), 1)), share[first]])
    bars = strip.bar(ends[:-1], 1.0, np.diff(ends), row, align="edge", color=rgba, linewidth=0)
    for bar in bars:
        bar.set_gid("failed")
        belongs(bar, str(group["optimizer"].iloc[0]))


def _paint_usable(strip: Axes, row: int, group: DataFrame, colour: str) -> list[Artist]:
    """A bar over the usable rates with its width in decades, or the word none."""
    drawn: list[Artist] = []
    low, high = group["usable_low"].iloc[0], group["usable_high"].iloc[0]
    left, right = np.log10(strip.get_xlim())
    if np.isnan(low):
        text, place, side = "none", left, "left"
    else:
        line = {"color": colour, "lw": 3, "solid_capstyle": "butt", "marker": "s", "ms": 3, "mew": 0}
        drawn += strip.plot([low, high], [row + 0.5] * 2, gid="usable", **line)
        text = f"{np.log10(high / low):.1f} decades" if high > low else "one rate"
        first, last = (np.log10([low, high]) - left) / (right - left)
        # On the left, where there is room: on the right is the tint of the rates that fail.
        if first >= 0.15:
            place, side = np.log10(low), "right"
        elif last <= 0.85:
            place, side = np.log10(high), "left"
        else:
            place, side = (left + right) / 2, "center"
    margin = (right - left) * {"left": 0.012, "center": 0.0, "right": -0.012}[side]
    style: dict[str, Any] = {"fontsize": 6.5, "va": "center", "ha": side, "bbox": PAPER}
    return [*drawn, strip.text(10 ** (place + margin), row + 0.5, text, **style)]


FIGURE = Figure(
    name="learning-rate",
    number=5,
    question="How sensitive is the result to the learning rate?",
    caption=(
        "Learning-rate sensitivity: the median final gap over all descents of a rate and the band from 20% to 80% of "
        "them; a descent that diverged or became nonfinite counts as infinite, so its line leaves through the top. "
        "The strip above has a line an optimizer: its tint is the share of those (white none, full colour all), its "
        "bar the contiguous learning rates around the best at which at least half of the descents converge, with "
        "their width in decades. Dotted: the tolerance. Further hyperparameters are held at the best setting (best per "
        "problem, chosen on even-numbered starts and shown on odd ones)."
    ),
    cases=cases,
    data=data,
    draw=draw,
    finish=finish,
    extra=lambda frames: extra_height(frames) + max(map(strip_height, frames)),
    panel=(4.2, 3.4),
)
