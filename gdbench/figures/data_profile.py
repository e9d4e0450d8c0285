"""Figure 12: which share of the problems is solved within a budget?"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from pandas import DataFrame

from gdbench.figures.base import Figure, Results
from gdbench.figures.choose import floats
from gdbench.figures.comparison import Comparison, comparison
from gdbench.figures.over_problems import BANDS, attributes, shown, solved_cases
from gdbench.figures.scale import tick_plain
from gdbench.figures.steps import draw_profile, profile_frame
from gdbench.stats.profiles import budgets


def cases(results: Results) -> list[dict[str, Any]]:
    """One a comparison and regime with at least two problems."""
    return solved_cases(results, fewest_places=2)


def data(results: Results, experiment: str, dtype: str, regime: str) -> DataFrame:
    """Data profiles: d_s(alpha) = share of the problems p with t_ps <= alpha, or alpha (n_p + 1) without gradients.

    t is the median cost to converge of the held-out descents, infinite where half or more of them do not.

    Args:
        results: a run.
        experiment: name of the experiment.
        dtype: 'float32' or 'float64'.
        regime: tuning regime.

    Returns:
        A row an optimizer and step, best share solved first: ``optimizer``, ``cost`` (alpha), ``share``, ``low`` and
        ``high`` (95% by bootstrap over families of problems), ``solved`` (share at the right edge).
    """
    told = comparison(results, experiment, dtype, regime)
    simplex = without_gradients(results, told)
    costs = budgets(told.typical(), np.array([place.dim for place in told.places]) if simplex else None)
    finite = costs[np.isfinite(costs) & (costs > 0)]
    left, right = (float(finite.min()), float(finite.max())) if len(finite) else (1.0, 2.0)
    solved = np.isfinite(costs).mean(axis=0)
    # Of equal shares the one with the lower costs stands first.
    area = np.log(np.clip(costs, left, 2 * right) / left).mean(axis=0) / np.log(2 * right / left)
    kept = shown(solved - 1e-6 * area)
    frame = profile_frame(costs, told, kept, "cost", (left / 1.5, right * 1.5))
    frame.attrs |= attributes(results, told, kept) | {"simplex": simplex}
    return frame


def without_gradients(results: Results, told: Comparison) -> bool:
    """Whether no optimizer of a comparison uses gradients, so that costs are counted in simplices of n + 1 values."""
    return not any(
        cell["optimizer"]["uses_gradient"] for cell in results.cells
        if cell["experiment"] == told.experiment and cell["optimizer"]["label"] in told.optimizers
    )  # fmt: skip


def draw(ax: Axes, frame: DataFrame) -> None:
    """Steps over log cost."""
    draw_profile(ax, frame, "cost")
    costs = floats(frame, "cost")
    ax.set_xscale("log")
    unit = "simplex gradients of n + 1 values" if frame.attrs["simplex"] else "evaluations"
    ax.set(xlim=(costs.min(), costs.max()), xlabel=f"cost ({unit})", ylabel="problems solved")
    tick_plain(ax.xaxis)


FIGURE = Figure(
    name="data-profile",
    number=12,
    question="Which share of the problems is solved within a budget?",
    caption=(
        "Data profiles (Moré and Wild, SIAM Journal on Optimization 20 (2009) 172): the share of the problems that "
        "an optimizer solves within a cost = evaluations of f + gradients + 2 x Hessian-vector products. Where no "
        "optimizer uses gradients the cost is divided by n + 1, the values that a simplex gradient takes in n "
        "dimensions; with gradients it is not. A problem counts as solved when more than half of the held-out "
        f"descents converge, and then costs their median. {BANDS} Unlike figure 11 a curve does not depend on the "
        "other optimizers."
    ),
    cases=cases,
    data=data,
    draw=draw,
    panel=(5.0, 3.2),
    columns=2,
)
