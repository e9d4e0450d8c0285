"""Figure 6: where do iterates end up as the learning rate grows?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.lines import Line2D
from pandas import DataFrame

from gdbench.figures.base import Figure, Picture, Results
from gdbench.figures.boundary import RATE, stability_boundary, theory_words
from gdbench.figures.choose import axes_of, cell_of, floats, heading, keep, known, parameter_values, place, ran, rows
from gdbench.figures.scale import scale_of
from gdbench.figures.style import number

FEWEST_RATES = 3
BINS = 800
"""Parts of the vertical axis; what falls into one part at one learning rate is drawn as one point, at its mean."""

INK = ListedColormap([(0.0, 0.0, 0.0, 0.25 + 0.75 * i / 63) for i in range(64)])
LINE: dict[str, Any] = {"color": "#D55E00", "lw": 1.2, "ls": (0, (4, 2))}


def cases(results: Results) -> list[dict[str, Any]]:
    """The cells that keep the last iterates of their paths, at three learning rates or more; not where all are lost."""
    found = []
    for cell in ran(results):
        rates = axes_of(cell, "hyperparameter").get(RATE, {"values": []})["values"]
        if cell.get("orbit") and len(rates) >= FEWEST_RATES:
            held = [at for at in parameter_values(cell) if len(_last(results, cell, at)[0])]
            found += [{"cell": cell["id"]} | ({"at": at} if at else {}) for at in held]
    return found


def data(results: Results, cell: str, at: Mapping[str, float] | None = None, coordinate: int = 0) -> DataFrame:
    """The last iterates at each learning rate, of all stored paths that reached the end.

    Args:
        results: a run.
        cell: id of the cell.
        at: values at which the problem's parameters are held.
        coordinate: the coordinate that is shown.

    Returns:
        A row a place that was visited: ``learning_rate``, ``x`` (mean of the iterates there), ``visits`` (their number)
        and ``boundary``, the largest stable learning rate in theory (NaN where unknown). Places are a ``BINS``-th of
        the range of all iterates wide.
    """
    chosen = cell_of(results, cell)
    rate, last = _last(results, chosen, at)
    if not len(rate):
        return DataFrame()
    frame = _visits(rate, last[:, :, coordinate])
    frame["boundary"] = stability_boundary(chosen, frame, at or {})
    fixed = [f"{name.replace('_', ' ')} {number(value)}" for name, value in (at or {}).items()]
    values = np.unique(axes_of(chosen)[RATE]["values"])
    frame.attrs = {
        "heading": heading(*place(chosen), *fixed),
        "title": chosen["optimizer"]["label"],
        "scale": scale_of(values, axes_of(chosen)[RATE]["scale"]),
        "label": "x" if chosen["problem"]["dim"] == 1 else f"coordinate {coordinate} of x",
        "words": theory_words(chosen)
        + (" (2/f″ at the minimizer)" if chosen["optimizer"]["theory"] == "gradient_descent" else ""),
    }
    return frame


def _last(results: Results, cell: Mapping[str, Any], at: Mapping[str, float] | None) -> tuple[np.ndarray, np.ndarray]:
    """Learning rate [descents] and last iterates [descents, n, dim] of the stored paths that reached the end."""
    table = rows(results, cell, ["path"], at)
    table = keep(table, known(table, "path"))
    count, dim = len(cell["path_steps"]), cell["problem"]["dim"]
    paths = np.array([np.asarray(path, float) for path in table["path"]]).reshape(-1, count, dim)
    last = paths[:, -min(cell["orbit"], count) :]
    whole = np.isfinite(last).all(axis=(1, 2))
    return floats(table, RATE)[whole], last[whole]


def _visits(rate: np.ndarray, last: np.ndarray) -> DataFrame:
    """Places that the iterates [descents, n] of each learning rate [descents] visit."""
    low, high = last.min(), last.max()
    bins = np.clip((last - low) / ((high - low) or 1.0) * BINS, 0, BINS - 1).astype(int)
    rates, column = np.unique(rate, return_inverse=True)
    flat = (column[:, None] * BINS + bins).ravel()
    visits = np.bincount(flat)
    used = np.flatnonzero(visits)
    middle = np.bincount(flat, last.ravel())[used] / visits[used]
    return DataFrame({RATE: rates[used // BINS], "x": middle, "visits": visits[used]})


def draw(ax: Axes, frame: DataFrame) -> None:
    """A dot a place, darker where iterates come more often, and the boundary."""
    scale = frame.attrs["scale"]
    order = frame.sort_values("visits", kind="stable")
    norm = LogNorm(1, max(float(floats(order, "visits").max(initial=0.0)), 2.0))
    place_of = scale.position(order[RATE].to_numpy())
    # As large as the rates leave room for.
    size = float(np.clip(400 / order[RATE].nunique(), 1.6, 12))
    ax.scatter(place_of, order["x"], c=order["visits"], s=size, lw=0, cmap=INK, norm=norm, rasterized=True, gid="orbit")
    edge = np.unique(floats(frame, "boundary"))
    if np.isfinite(edge[:1]).any():
        ax.axvline(float(scale.position(edge[0])), gid="theory", zorder=0.9, **LINE)  # below the dots
    ax.set(xlabel="learning rate", ylabel=frame.attrs["label"], xlim=scale.extent())
    scale.tick(ax.xaxis)


def finish(picture: Picture, axes: list[Axes], frames: list[DataFrame]) -> None:
    """What the line is."""
    if any(frame["boundary"].notna().any() for frame in frames):
        picture.legend(handles=[Line2D([], [], label=frames[0].attrs["words"], **LINE)], loc="outside lower center")


FIGURE = Figure(
    name="orbits",
    number=6,
    question="Where do iterates end up as the learning rate grows?",
    caption=(
        "Orbit diagram: the last iterates (256, or as many as the suite keeps) of the stored paths at each learning "
        "rate; a darker dot is visited more often. One line is a limit, two lines are a cycle of two, a band is an "
        "orbit that never repeats. Descents that diverged have none. Dashed: the largest learning rate at which a "
        "minimizer is stable, 2/f″ there for gradient descent."
    ),
    cases=cases,
    data=data,
    draw=draw,
    finish=finish,
    panel=(4.4, 3.4),
)
