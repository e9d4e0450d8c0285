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
from gdbench.figures.over_problems import generator
from gdbench.figures.style import line_handles
from gdbench.stats.bands import mean_band
from gdbench.stats.profiles import profile


def draw_steps(ax: Axes, frame: DataFrame, x: str) -> None:
    """The share of each optimizer by ``x`` as steps with its band; shares are never interpolated.

    Args:
        ax: axes to draw on.
        frame: columns ``optimizer``, ``x``, ``share``, ``low`` and ``high``, in the order of the legend.
        x: name of the column with the places of the steps.
    """
    for label, group in frame.groupby("optimizer", sort=False, observed=True):
        style = frame.attrs["styles"][label]
        at = floats(group, x)
        ax.fill_between(at, floats(group, "low"), floats(group, "high"), step="post", color=style["color"], **BAND)
        ax.plot(at, floats(group, "share"), drawstyle="steps-post", label=str(label), **style)
    ax.set_ylim(0, 1.02)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.grid(axis="y", lw=0.4, color="0.9")


def side_legend(ax: Axes, texts: dict[str, str], frame: DataFrame, title: str) -> None:
    """A legend to the right of a panel, in the order of its curves, and how many optimizers are not shown."""
    handles = line_handles(texts, frame.attrs["styles"])
    if frame.attrs["hidden"]:
        handles.append(Line2D([], [], linestyle="none", label=frame.attrs["hidden"]))
    ax.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.02), fontsize=7, title=title, title_fontsize=7,
        borderaxespad=0, alignment="left", handlelength=2.4,
    )  # fmt: skip


def percent(share: float) -> str:
    """A share for a legend; what is neither none nor all is never rounded to it."""
    if 0 < share < 0.01:
        return "<1%"
    return ">99%" if 0.99 < share < 1 else f"{np.round(100 * share):.0f}%"


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
        ``optimizer``, ``x``, ``share``, ``low``, ``high`` (NaN with fewer than two families), and ``solved``, the share
        of finite values.
    """
    families, parts = np.array(told.families), []
    for k in kept:
        own = values[:, [k]]
        inside = own[(own > limits[0]) & (own < limits[1])]
        at = np.r_[limits[0], np.unique(inside), limits[1]]
        low, high = mean_band((own <= at).astype(float), families, generator())
        share, solved = profile(own, at)[:, 0], float(np.isfinite(own).mean())
        parts.append({"optimizer": told.optimizers[k], x: at, "share": share, "low": low, "high": high, "solved": solved})
    return pd.concat(map(DataFrame, parts), ignore_index=True)
