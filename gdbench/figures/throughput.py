"""Figure 18: how many steps does a second take, and what does compiling cost?"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from pandas import DataFrame

from gdbench.figures.base import Figure, Picture, Results
from gdbench.figures.choose import floats
from gdbench.figures.lines import legend_height, legend_layout, run_styles
from gdbench.figures.scale import tick_plain
from gdbench.figures.style import belongs, entries_belong, line_handles

PARTS = ("compile", "first", "steady")
WHOLE: dict[str, Any] = {"marker": "o", "ls": "", "ms": 4.5, "mfc": "white"}
STEADY: dict[str, Any] = {"marker": "o", "ls": "", "ms": 4.5}


def timed(results: Results) -> list[dict[str, Any]]:
    """Timings of the cells that ran here; what came from another run has none."""
    told = getattr(results, "timing", [])
    return [one for one in told if one["descents"] and sum(one[f"{part}_seconds"] for part in PARTS) > 0]


def cases(results: Results) -> list[dict[str, Any]]:
    """One for a run in which anything was timed."""
    return [{}] if timed(results) else []


def data(results: Results) -> DataFrame:
    """Descent-steps a second of every cell.

    Args:
        results: a run.

    Returns:
        A row a cell: ``experiment``, ``problem``, ``optimizer``, ``dtype``, ``descents``, ``steps`` (the budget),
        ``compile_seconds``, ``first_seconds`` (of the first dispatch), ``steady_seconds`` (of the others), ``steady``,
        descents times steps over seconds of the steady dispatches (of the first, where there was one alone), and
        ``whole``, over all seconds with those of compiling.
    """
    cells = {cell["id"]: cell for cell in results.cells}
    found = []
    for entry in timed(results):
        cell = cells[entry["cell"]]
        compiling, first, steady = (float(entry[f"{part}_seconds"]) for part in PARTS)
        before = entry.get("first_descents", 0)
        # Manifests of earlier versions do not say how many the first dispatch had: both are taken together then.
        apart = steady > 0 and before > 0
        alone, seconds = (entry["descents"] - before, steady) if apart else (entry["descents"], first + steady)
        names = {name: cell[name]["label"] for name in ("problem", "optimizer")}
        found.append(
            {"experiment": cell["experiment"], **names, "dtype": cell["dtype"], "descents": entry["descents"]}
            | {"steps": entry["steps"]}
            | {f"{part}_seconds": each for part, each in zip(PARTS, (compiling, first, steady), strict=True)}
            | {"steady": alone * entry["steps"] / seconds if seconds > 0 else np.nan}
            | {"whole": entry["descents"] * entry["steps"] / (compiling + first + steady)}
        )
    frame = DataFrame(found)
    labels = list(dict.fromkeys(frame["optimizer"]))
    frame.attrs = {
        "heading": _machine(results),
        "title": "",
        "texts": {label: label for label in labels},
        "styles": run_styles(results),
    }
    return frame


def _machine(results: Results) -> str:
    told = getattr(results, "environment", {})
    return " · ".join(str(told[name]) for name in ("cpu", "device_kind") if told.get(name))


def draw(ax: Axes, frame: DataFrame) -> None:
    """A dot a cell for its steady speed, below it a ring for all of its time; the line between is compiling."""
    ax.set(xscale="log", yscale="log", xlabel="descents of the cell", ylabel="descent-steps a second")
    # One cell alone, or all of one size, span no range by themselves.
    lanes, speed = floats(frame, "descents"), frame[["steady", "whole"]].to_numpy()
    ax.set(xlim=(lanes.min() / 1.5, lanes.max() * 1.5), ylim=(np.nanmin(speed) / 2, np.nanmax(speed) * 2))
    for _, group in frame.groupby(["optimizer", "problem"], sort=False, observed=True):
        label, problem = str(group["optimizer"].iloc[0]), str(group["problem"].iloc[0])
        colour, at = frame.attrs["styles"][label]["color"], group["descents"]
        drawn: list[Artist] = [
            ax.vlines(at, group["whole"], group["steady"], color=colour, lw=0.8, alpha=0.6),
            *ax.plot(at, group["steady"], color=colour, gid="steady", **STEADY),
            *ax.plot(at, group["whole"], color=colour, gid="whole", **WHOLE),
        ]
        belongs(drawn, label, problem=problem)
    ax.grid(True, which="major", color="0.9", lw=0.6)
    ax.set_axisbelow(True)
    tick_plain(ax.xaxis)


WHAT = {"steady": STEADY, "with compiling and the first run": WHOLE}
"""What dot and ring are."""


def extra(frames: list[DataFrame]) -> float:
    """Room for the legend of many optimizers."""
    return legend_height([*frames[0].attrs["texts"].values(), *WHAT])


def finish(picture: Picture, axes: list[Axes], frames: list[DataFrame]) -> None:
    """Optimizers by colour, and what dot and ring are."""
    styles = {label: {"color": style["color"], **STEADY} for label, style in frames[0].attrs["styles"].items()}
    handles = [
        *line_handles(frames[0].attrs["texts"], styles),
        *(Line2D([], [], color="0.3", **style, label=label) for label, style in WHAT.items()),
    ]
    columns, size = legend_layout([str(handle.get_label()) for handle in handles], picture.get_size_inches()[0])
    legend = picture.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=size)
    entries_belong(legend, frames[0].attrs["texts"])


FIGURE = Figure(
    name="throughput",
    number=18,
    question="How many steps does a second take, and what does compiling cost?",
    caption=(
        "Descents times steps of the budget, a second, of every cell that was run here: dots count the dispatches "
        "after the first alone (the first, where there was no other), rings all of the cell's time with compiling. A "
        "descent that ended early counts its whole budget. The numbers beside have the seconds of compiling, of the "
        "first dispatch and of the others apart. Speed against the number of lanes on one piece of work is what "
        "`gdbench bench` measures."
    ),
    cases=cases,
    data=data,
    draw=draw,
    finish=finish,
    extra=extra,
    panel=(4.6, 3.4),
)
