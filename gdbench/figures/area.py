"""Figure 10: how good is an optimizer at any budget?"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from pandas import DataFrame

from gdbench.figures.base import Figure, Results
from gdbench.figures.comparison import Comparison, comparison
from gdbench.figures.evidence import Trace, cell_on, traces
from gdbench.figures.forest import draw_forest, forest_frame
from gdbench.figures.over_problems import (
    CONFIDENCE,
    FEWEST_FAMILIES,
    attributes,
    over_families,
    over_starts,
    regime_cases,
    room,
    shown,
)  # fmt: skip
from gdbench.measures.area_over_curve import gaps_looked_at
from gdbench.stats.aocc import area_over_curve


def cases(results: Results) -> list[dict[str, Any]]:
    """One a comparison and regime of whose problems one at least has traces and a known minimum."""
    traced = {(c["experiment"], c["dtype"]) for c in results.cells if c["trace_steps"] and c["problem"]["scale"]}
    return [
        case for case in regime_cases(results)
        if (case["experiment"], case["dtype"]) in traced and len(_areas(results, comparison(results, **case))[0])
    ]  # fmt: skip


def data(results: Results, experiment: str, dtype: str, regime: str) -> DataFrame:
    """Area over the convergence curve of the best gap so far, by ``stats.aocc.area_over_curve``, over each problem.

    The budget of a problem is the median over its optimizers of the most that each spent: some stop by themselves,
    some take dear steps. Gaps are clipped to the range of the suite's targets, or to S and the tolerance without.

    Args:
        results: a run.
        experiment: name of the experiment.
        dtype: 'float32' or 'float64'.
        regime: tuning regime.

    Returns:
        Rows as ``forest_frame`` makes them, best first; 95% over families of problems, over starts where these are too
        few.
    """
    told = comparison(results, experiment, dtype, regime)
    areas, left = _areas(results, told)
    if not areas:
        return DataFrame()
    means = np.full((len(told.places), len(told.optimizers)), np.nan)
    means[left] = [area.mean(axis=-1) for area in areas]
    families = [told.families[i] for i in left]
    enough = len(set(families)) >= FEWEST_FAMILIES
    whole = over_families(means[left], families) if enough else over_starts(areas)
    kept = shown(whole[0])
    frame = forest_frame(told, kept, means, whole)
    without = len(told.places) - len(left)
    frame.attrs |= attributes(results, told, kept, f"{without} problems without" if without else "")
    return frame


def _areas(results: Results, told: Comparison) -> tuple[list[np.ndarray], list[int]]:
    """Areas [optimizers, n] of each place that has traces and a known minimum, and the indices of these places."""
    key = ("areas", told.experiment, told.dtype, told.regime)
    if key not in results.memo:
        results.memo[key] = _gather(results, told)
    return results.memo[key]


def _gather(results: Results, told: Comparison) -> tuple[list[np.ndarray], list[int]]:
    found, left = [], []
    for i, (place, row) in enumerate(zip(told.places, traces(results, told), strict=True)):
        low, high = gaps_looked_at(cell_on(results, told, place, told.optimizers[0]))
        stored = [trace for trace in row if trace is not None]
        # Without a known minimum there is no scale, and no gap.
        if stored and place.scale and 0 < low < high:
            budget = float(np.median([trace.cost.max() for trace in stored]))
            found.append(np.stack([_area(trace, budget, low, high, len(told.held[i][0].pair)) for trace in row]))
            left.append(i)
    return found, left


def _area(trace: Trace | None, budget: float, low: float, high: float, n: int) -> np.ndarray:
    """Areas of n descents; 0 where no trace is stored, as of a failed cell."""
    return np.zeros(n) if trace is None else area_over_curve(trace.cost, trace.best, budget, low, high)


def draw(ax: Axes, frame: DataFrame) -> None:
    """From 0, never below the upper end, to 1, at the lower end from the start."""
    draw_forest(ax, frame, "area over the curve (higher is better)")
    ax.set_xlim(-0.03, 1.03)


FIGURE = Figure(
    name="area-over-curve",
    number=10,
    question="How good is an optimizer at any budget?",
    caption=(
        "The area over the convergence curve (AOCC): 1 − the mean height of log10 of the best gap so far over the "
        "budget, with the gap clipped to the range of the targets (S and the tolerance where a suite has none) and "
        "scaled to 0…1. It is the chance to have reached a random target of that range at a random cost; 1 is best. "
        "The budget of a problem is the median over its optimizers of the most that each spent. Means over held-out "
        f"descents, then over problems. Small points: single problems; bars: {CONFIDENCE} by bootstrap over families "
        f"of problems, over starts where there are fewer than {FEWEST_FAMILIES}. Problems without a known minimum are "
        "left out (De Nobel et al., IOHexperimenter, Evolutionary Computation 32 (2024) 205)."
    ),
    cases=cases,
    data=data,
    draw=draw,
    panel=(4.2, 3.0),
    columns=2,
    extra=room,
)
