"""Figure 3: how far do measured rates and boundaries lie from theory?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import CenteredNorm
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from pandas import DataFrame

from gdbench.contracts import OUTCOMES
from gdbench.figures.base import Figure, Picture, Results
from gdbench.figures.boundary import RATE, rate_in_theory, stability_boundary, theory_words
from gdbench.figures.choose import axes_of, cell_of, heading, parameter_values, ran
from gdbench.figures.choose import place as place_of
from gdbench.figures.grids import image, pixels, stride
from gdbench.figures.lines import run_styles
from gdbench.figures.placed import Placed, place
from gdbench.figures.scale import Scale
from gdbench.figures.style import number, strip_above
from gdbench.measures.base import CONVERGED
from gdbench.theory.of_cell import boundary_error, known_of

DIFFERENCE_MAP = "PuOr_r"
"""White where theory and measurement agree; both ends differ under every common colour blindness."""

FEWEST = 3
MEASURED: dict[str, Any] = {"linestyle": "", "marker": "o", "ms": 3.2, "mew": 0.6, "mfc": "white", "mec": "black"}
STRIP = 0.7
"""Inches of the strip of differences."""

TRAPPED, UNFINISHED = "trapped", "unfinished"
THEORY: dict[str, Any] = {"color": "black", "lw": 1.2, "ls": (0, (4, 2))}


def cases(results: Results) -> list[dict[str, Any]]:
    """The cells with at least three learning rates of which theory knows the boundary.

    Over the first further axis of hyperparameters or parameters where there is one, else over the learning rate alone.
    """
    found = []
    for cell in ran(results):
        axes = axes_of(cell, "hyperparameter", "parameter")
        if len(axes.get(RATE, {"values": []})["values"]) < FEWEST:
            continue
        y = next((name for name in axes if name != RATE), None)
        for at in parameter_values(cell, skip=(y or "",)):
            at_one = {name: axes[name]["values"][0] for name in axes if name != RATE}
            known = known_of(cell, {**at_one, **at})
            if known is not None and np.isfinite(known.boundary()).any():
                found.append({"cell": cell["id"]} | ({"y": y} if y else {}) | ({"at": at} if at else {}))
    return found


def data(results: Results, cell: str, y: str | None = None, at: Mapping[str, float] | None = None) -> DataFrame:
    """Measured against theoretical rate and boundary.

    Args:
        results: a run.
        cell: id of the cell.
        y: a second axis; None to show the learning rate alone.
        at: values at which other axes are held.

    Returns:
        A row a learning rate (and value of ``y``): ``learning_rate``, ``y``, ``measured`` (median signed rate of the
        most frequent outcome, NaN for none), ``theory``, ``difference``, ``settles`` (share that came to rest
        or was still on its way), and what is the same at all rates: ``boundary`` (in theory), ``measured_boundary``
        (between the largest rate at which at least half settle and the next) and ``boundary_error``, its decades above
        theory's.
    """
    chosen, at = cell_of(results, cell), at or {}
    placed = place(results, chosen, RATE, y or "start", at)
    if placed is None:
        return DataFrame()
    if y is None:
        one = Scale("rank", (0.0,))
        placed = Placed(placed.x, np.zeros_like(placed.y), (placed.scales[0], one), placed.code, placed.rate)
    strides = stride(len(placed.scales[1].values)), stride(len(placed.scales[0].values))
    row, column = placed.y // strides[0], placed.x // strides[1]
    shown = pixels(placed.code, placed.rate, row, column)
    frame = DataFrame({"row": shown["row"], "column": shown["column"], "measured": shown["rate"]})
    rates, others = (np.array(scale.values)[::width] for scale, width in zip(placed.scales, strides[::-1], strict=True))
    frame.insert(2, RATE, rates[frame["column"]])
    if y is not None:
        frame.insert(3, y, others[frame["row"]])
    frame["theory"] = rate_in_theory(chosen, frame, at)
    frame["difference"] = frame["measured"] - frame["theory"]
    frame["settles"] = _settles(placed, row, column, frame)
    frame["boundary"] = stability_boundary(chosen, frame, at)
    errors = [_error(line) for _, line in frame.groupby("row", sort=True)]
    measured, error = np.array(errors).T
    place_in = np.unique(frame["row"], return_inverse=True)[1]
    frame["measured_boundary"], frame["boundary_error"] = measured[place_in], error[place_in]
    fixed = [f"{name.replace('_', ' ')} {number(value)}" for name, value in at.items()]
    frame.attrs = {
        "heading": heading(*place_of(chosen), *fixed),
        "title": f"{chosen['optimizer']['label']}\n{_words(error)}",
        "y": y,
        "scales": placed.scales,
        "extent": (*placed.scales[0].extent(strides[1]), *placed.scales[1].extent(strides[0])),
        "words": theory_words(chosen),
        "style": run_styles(results)[chosen["optimizer"]["label"]],
        "halfrange": _halfrange(frame),
    }
    return frame


def _settles(placed: Placed, row: np.ndarray, column: np.ndarray, frame: DataFrame) -> np.ndarray:
    """Share of the descents of each pixel that came to rest, or were still on their way when the budget ended."""
    width = int(column.max()) + 1
    flat = row.astype(np.int64) * width + column
    # A cycle about the minimum is nearer than the start was, and settles nowhere.
    falling = (placed.code == OUTCOMES.index(UNFINISHED)) & (placed.rate < 0)
    near = np.isin(placed.code, [OUTCOMES.index(name) for name in (CONVERGED, TRAPPED)]) | falling
    share = np.bincount(flat[near], minlength=int(flat.max()) + 1) / np.maximum(np.bincount(flat), 1)
    return share[frame["row"].to_numpy() * width + frame["column"].to_numpy()]


def _error(line: DataFrame) -> tuple[float, float]:
    """Measured boundary along learning rates, and its error."""
    return boundary_error(line[RATE].to_numpy(), line["settles"].to_numpy(), float(line["boundary"].iloc[0]))


def _words(error: np.ndarray) -> str:
    known = error[np.isfinite(error)]
    if not len(known):
        return "boundary outside of the grid"
    middle, most = np.median(known), known[np.abs(known).argmax()]
    if len(error) == 1:
        return f"boundary error {_signed(middle)} decades"
    return f"boundary error {_signed(middle)}, at most {_signed(most)} decades"


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + number(round(float(value), 4))


def _halfrange(frame: DataFrame) -> float:
    """Half the colour range: the 98th percentile of the differences on the stable side."""
    stable = (frame[RATE] < frame["boundary"]).to_numpy()
    size = np.abs(frame["difference"].to_numpy()[stable])
    size = size[np.isfinite(size)]
    return float(np.quantile(size, 0.98)) if len(size) and size.max() > 0 else 1.0


def share(frames: list[DataFrame]) -> None:
    """One colour range for all panels of a picture."""
    for frame in frames:
        frame.attrs["halfrange"] = max(one.attrs["halfrange"] for one in frames)


def draw(ax: Axes, frame: DataFrame) -> None:
    """Differences as colour over two axes; else both rates as lines."""
    if frame.attrs["y"] is None:
        _draw_lines(ax, frame)
        return
    norm, extent = CenteredNorm(0, halfrange=frame.attrs["halfrange"]), frame.attrs["extent"]
    shown = np.ma.masked_invalid(image(frame, frame["difference"].to_numpy(), np.nan))
    ax.set_facecolor("0.8")
    ax.imshow(
        shown, cmap=DIFFERENCE_MAP, norm=norm, extent=extent, origin="lower", aspect="auto", interpolation="nearest",
        rasterized=True,
    )  # fmt: skip
    lines = frame.groupby("row", sort=True).first()
    across, up = frame.attrs["scales"]
    height = np.linspace(extent[2], extent[3], 2 * len(lines) + 1)[1::2]
    ax.plot(across.position(lines["boundary"].to_numpy()), height, gid="theory", **THEORY)
    sparse = slice(None, None, stride(len(lines), 40))
    ax.plot(across.position(lines["measured_boundary"].to_numpy())[sparse], height[sparse], gid="measured", **MEASURED)
    ax.set(xlabel="learning rate", ylabel=frame.attrs["y"].replace("_", " "), xlim=extent[:2], ylim=extent[2:])
    for scale, axis in ((across, ax.xaxis), (up, ax.yaxis)):
        scale.tick(axis)


def _draw_lines(ax: Axes, frame: DataFrame) -> None:
    """Theory's rate as a line with the measured ones on it, and their difference in a strip above."""
    across: Scale = frame.attrs["scales"][0]
    x, theory, measured = (frame[name].to_numpy() for name in (RATE, "theory", "measured"))
    place_of_x, edge = across.position(x), float(frame["boundary"].iloc[0])
    colour = frame.attrs["style"]["color"]
    lowest = np.nanmin(np.r_[theory[np.isfinite(theory)], measured[np.isfinite(measured)], 0.0])
    ax.plot(place_of_x, theory, gid="theory", **THEORY)
    ax.plot(place_of_x, measured, gid="measured", **{**MEASURED, "mec": colour})
    # Divergence can be a hundred times faster than any convergence.
    ax.set(xlabel="learning rate", ylabel="signed rate", ylim=(1.15 * lowest or -1.0, -0.8 * lowest or 1.0))
    strip = strip_above(ax, STRIP)
    half = 1.3 * frame.attrs["halfrange"]
    strip.plot(place_of_x, frame["difference"], color=colour, lw=1, marker="o", ms=2, gid="difference")
    strip.set(ylim=(-half, half), xticks=[])
    strip.set_ylabel("measured\n− theory", fontsize=7)
    strip.yaxis.set_major_locator(MaxNLocator(3, symmetric=True))
    for part in (ax, strip):
        part.axhline(0, color="0.7", lw=0.7, zorder=0)
        part.axvline(float(across.position(edge)), **{**THEORY, "lw": 0.9})
        found = float(frame["measured_boundary"].iloc[0])
        if np.isfinite(found):
            part.axvline(float(across.position(found)), color=colour, lw=0.9, gid="measured boundary")
        part.set_xlim(frame.attrs["extent"][:2])
    across.tick(ax.xaxis)


def finish(picture: Picture, axes: list[Axes], frames: list[DataFrame]) -> None:
    """Colour bar of the differences, and a legend."""
    maps = [ax for ax, frame in zip(axes, frames, strict=True) if frame.attrs["y"] is not None]
    if maps:
        norm = CenteredNorm(0, halfrange=frames[0].attrs["halfrange"])
        label = "measured − theoretical rate (decades of gap per step)"
        picture.colorbar(ScalarMappable(norm, colormaps[DIFFERENCE_MAP]), ax=axes, label=label, extend="both")
    handles = [
        Line2D([], [], **THEORY, label=f"theory: {'rate and ' if not maps else ''}{frames[0].attrs['words']}"),
        Line2D([], [], **MEASURED, label="measured boundary" if maps else "measured rate"),
    ]
    if not maps:
        # Each panel has its optimizer's colour.
        handles.append(Line2D([], [], color="0.3", lw=0.9, label="measured boundary"))
    picture.legend(handles=handles, loc="outside lower center", ncols=len(handles))


FIGURE = Figure(
    name="theory-check",
    number=3,
    question="Do measured rates and boundaries agree with theory?",
    caption=(
        "Measured minus theoretical signed rate, in decades of gap per step: theory's is that of the long run, "
        "2 log10 of the spectral radius of the update, and a measured one still holds what happens at first. Dashed: "
        "the largest stable learning rate in theory; circles or the full line: the measured one, between the largest "
        "learning rate at which at least half of the descents come to rest, or are still on their way when the "
        "budget ends, and the next. The title says how many decades it lies above theory's (the median and the "
        "largest; half a step of the grid is the least that can be told). A local boundary is that at a minimizer; "
        "descents from far away may stop converging before it. Grey: no rate."
    ),
    cases=cases,
    data=data,
    draw=draw,
    share=share,
    finish=finish,
    panel=(4.0, 3.4),
    extra=lambda frames: 0.0 if frames[0].attrs["y"] is not None else STRIP + 0.1,
)
