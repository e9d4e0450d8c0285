"""Figure 13: one number for a performance profile."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from pandas import DataFrame

from gdbench.figures.base import Figure, Results
from gdbench.figures.comparison import comparison
from gdbench.figures.forest import draw_forest, forest_frame
from gdbench.figures.over_problems import CONFIDENCE, attributes, over_families, room, shown, solved_cases
from gdbench.stats.profiles import profile_score, ratios

FURTHEST = 4.0
"""The ratio up to which a profile counts, AlgoPerf's."""


def cases(results: Results) -> list[dict[str, Any]]:
    """One a comparison and regime with at least two problems."""
    return solved_cases(results, fewest_places=2)


def data(results: Results, experiment: str, dtype: str, regime: str) -> DataFrame:
    """The mean height of each performance profile over ratios 1 to 4: (1/3) int_1^4 rho dtau = mean max(0, 4 - r) / 3.

    Args:
        results: a run.
        experiment: name of the experiment.
        dtype: 'float32' or 'float64'.
        regime: tuning regime.

    Returns:
        Rows as ``forest_frame`` makes them, best first; 95% by bootstrap over families of problems.
    """
    told = comparison(results, experiment, dtype, regime)
    # Each problem by itself, so that the mean over them is the score.
    scores = profile_score(ratios(told.typical())[:, None, :], FURTHEST)
    kept = shown(scores.mean(axis=0))
    frame = forest_frame(told, kept, scores, over_families(scores, told.families))
    frame.attrs |= attributes(results, told, kept)
    return frame


def draw(ax: Axes, frame: DataFrame) -> None:
    """From 0, never within four times the cheapest, to 1, the cheapest on every problem."""
    draw_forest(ax, frame, "profile score (higher is better)")
    ax.set_xlim(-0.03, 1.03)


FIGURE = Figure(
    name="profile-score",
    number=13,
    question="How near to the cheapest is an optimizer over all problems?",
    caption=(
        "The mean height of the performance profile (figure 11) over ratios from 1 to 4, exactly the mean over the "
        "problems of max(0, 4 − r)/3 with r = cost to converge / that of the cheapest optimizer there (Dahl et al., "
        "AlgoPerf, arXiv 2306.07179): 1 is the cheapest everywhere, 0 never within four times of it. Small points: "
        f"single problems; bars: {CONFIDENCE} by bootstrap over families of problems. The score depends on which "
        "optimizers are compared."
    ),
    cases=cases,
    data=data,
    draw=draw,
    panel=(4.2, 3.0),
    columns=2,
    extra=room,
)
