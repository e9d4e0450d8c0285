"""Curves that rise in steps (profiles and distributions), with bands and a legend beside each panel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter
from pandas import DataFrame

from gdbench.figures.choose import floats
from gdbench.figures.comparison import Comparison
from gdbench.figures.lines import BAND
from gdbench.figures.over_problems import over_families
from gdbench.figures.style import belongs, entries_belong, line_handles

MOST_BANDS = 4
"""Curves whose bands can be told apart; of more the interval is drawn at the right edge only."""


def draw_steps(ax: Axes, frame: DataFrame, x: str) -> None:
    """The share of each optimizer by ``x`` as steps with its interval; shares are never interpolated.

    Args:
        ax: axes to draw on.
        frame: columns ``optimizer``, ``x``, ``share``, ``low`` and ``high``, in the order of the legend.
        x: name of the column with the places of the steps.
    """
    groups = list(frame.groupby("optimizer", sort=False, observed=True))
    for i, (label, group) in enumerate(groups):
        style = frame.attrs["styles"][label]
        at, low, high = floats(group, x), floats(group, "low"), floats(group, "high")
        belongs(ax.plot(at, floats(group, "share"), drawstyle="steps-post", label=str(label), **style), str(label))
        if len(groups) <= MOST_BANDS:
            belongs(ax.fill_between(at, low, high, step="post", color=style["color"], **BAND), str(label))
        elif np.isfinite(low[-1]):
            edge = {
                "transform": ax.get_yaxis_transform(),
                "clip_on": False,
                "lw": 1.8,
                "gid": "interval",
                "marker": "_",
            }
            bar = ax.plot([1 + BAR * (i + 1)] * 2, [low[-1], high[-1]], color=style["color"], ms=3, **edge)
            belongs(bar, str(label))
    ax.set_ylim(0, 1.02)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.grid(axis="y", lw=0.4, color="0.9")


BAR = 0.014
"""Distance of the bars right of a panel, as a share of its width."""


def beside(frame: DataFrame) -> float:
    """Where the legend begins, right of the bars, as a share of the panel's width."""
    count = len(set(frame["optimizer"]))
    return 1.02 + (BAR * (count + 1) if count > MOST_BANDS and "low" in frame.columns else 0.0)


def side_legend(ax: Axes, texts: dict[str, str], frame: DataFrame, title: str) -> None:
    """A legend to the right of a panel, in the order of its curves, and how many optimizers are not shown."""
    handles = line_handles(texts, frame.attrs["styles"])
    if frame.attrs["hidden"]:
        handles.append(Line2D([], [], linestyle="none", label=frame.attrs["hidden"]))
    title += "\n" + frame.attrs["few"] if frame.attrs["few"] and "low" in frame.columns else ""
    legend = ax.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(beside(frame), 1.02), fontsize=7, title=title,
        title_fontsize=7, borderaxespad=0, alignment="left", handlelength=2.4,
    )  # fmt: skip
    entries_belong(legend, texts)


def percent(share: float) -> str:
    """A share for a legend; what is neither none nor all is never rounded to it."""
    if 0 < share < 0.01:
        return "<1%"
    return ">99%" if 0.99 < share < 1 else f"{np.round(100 * share):.0f}%"


def draw_profile(ax: Axes, frame: DataFrame, x: str) -> None:
    """The steps of ``profile_frame``, with a legend that says what is solved at all."""
    draw_steps(ax, frame, x)
    solved = dict(zip(frame["optimizer"], floats(frame, "solved"), strict=True))
    side_legend(ax, {label: f"{label}, {percent(share)}" for label, share in solved.items()}, frame, "solved at all")


def profile_frame(
    values: np.ndarray, told: Comparison, kept: Sequence[int], x: str, limits: tuple[float, float]
) -> DataFrame:
    """Share of the problems with a value of at most x, at every x where it rises, with its band over families.

    Args:
        values: one a problem and optimizer, shape [places, optimizers]; infinite for never.
        told: the comparison.
        kept: indices of the optimizers to show, in their order.
        x: name of the column of x.
        limits: ends of the axis, where each curve begins and ends.

    Returns:
        ``optimizer``, ``x``, ``share``, ``low``, ``high`` (NaN for too few families), and ``solved``, the share
        of finite values.
    """
    parts = []
    for k in kept:
        own = values[:, [k]]
        inside = own[(own > limits[0]) & (own < limits[1])]
        at = np.r_[limits[0], np.unique(inside), limits[1]]
        share, low, high = over_families((own <= at).astype(float), told.families)
        solved = float(np.isfinite(own).mean())
        curve = {x: at, "share": share, "low": low, "high": high, "solved": solved}
        parts.append(DataFrame({"optimizer": told.optimizers[k], **curve}))
    return pd.concat(parts, ignore_index=True)
