"""Figure 11: on which share of the problems is an optimizer within a factor of the best?"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from pandas import DataFrame

from gdbench.figures.base import Figure, Results
from gdbench.figures.choose import floats
from gdbench.figures.comparison import comparison
from gdbench.figures.over_problems import BANDS, attributes, shown, solved_cases
from gdbench.figures.steps import draw_profile, profile_frame
from gdbench.figures.style import number
from gdbench.stats.profiles import ratios


def cases(results: Results) -> list[dict[str, Any]]:
    """One a comparison and regime with at least two problems."""
    return solved_cases(results, fewest_places=2)


def data(results: Results, experiment: str, dtype: str, regime: str) -> DataFrame:
    """Performance profiles: rho_s(tau) = share of the problems p with t_ps / min_s t_ps <= tau.

    t is the median cost to converge of the held-out descents, infinite where half or more of them do not.

    Args:
        results: a run.
        experiment: name of the experiment.
        dtype: 'float32' or 'float64'.
        regime: tuning regime.

    Returns:
        A row an optimizer and step, best share solved first: ``optimizer``, ``ratio`` (tau), ``share`` (rho), ``low``
        and ``high`` (95% by bootstrap over families of problems), ``solved`` (rho at the right edge).
    """
    told = comparison(results, experiment, dtype, regime)
    ratio = ratios(told.typical())
    solved = np.isfinite(ratio).mean(axis=0)
    # Of equal shares the one that is the best more often stands first.
    kept = shown(solved + 1e-6 * (ratio == 1).mean(axis=0))
    edge = 2.0 ** max(np.ceil(np.log2(np.max(ratio, where=np.isfinite(ratio), initial=1.0))), 2.0)
    frame = profile_frame(ratio, told, kept, "ratio", (1.0, float(edge)))
    frame.attrs |= attributes(results, told, kept)
    return frame


def draw(ax: Axes, frame: DataFrame) -> None:
    """Steps over log2 tau; the share at the right edge is what is solved at all."""
    draw_profile(ax, frame, "ratio")
    ax.set_xscale("log", base=2)
    ax.set(
        xlim=(1.0, floats(frame, "ratio").max()), xlabel="cost / cost of the cheapest (τ)", ylabel="problems within τ"
    )
    ax.xaxis.set_major_locator(LogLocator(2, numticks=8))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: number(x)))


FIGURE = Figure(
    name="performance-profile",
    number=11,
    question="On which share of the problems is an optimizer within a factor of the best?",
    caption=(
        "Performance profiles (Dolan and Moré, Mathematical Programming 91 (2002) 201): the share of the problems on "
        "which an optimizer costs at most τ times as much to converge as the cheapest one there; τ on a logarithmic "
        "axis of base 2. The height at τ = 1 is how often it is the cheapest, that at the right edge the share "
        "solved at all. A problem counts as solved when more than half of the held-out descents converge, and then "
        f"costs their median. {BANDS} With more than two optimizers only the first place may be read off: who is "
        "second and third depends on which others are compared (Gould and Scott, ACM TOMS 43 (2016) 15); for those "
        "see the comparison pair by pair, figure 15."
    ),
    cases=cases,
    data=data,
    draw=draw,
    panel=(5.0, 3.2),
    columns=2,
)
