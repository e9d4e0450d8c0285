"""Figure 2: which minimum is reached from which start?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from pandas import DataFrame

from gdbench.figures.base import Figure, Picture, Results
from gdbench.figures.choose import (
    RECORD,
    axes_of,
    best_setting,
    cell_of,
    floats,
    heading,
    keep,
    parameter_values,
    place,
    ran,
    rows,
    setting_text,
    where,
)
from gdbench.figures.grids import image, outcome_codes, outline
from gdbench.figures.scale import scale_of
from gdbench.figures.style import halo, number, outcome_handles, outcome_image

FEWEST_STARTS = 16
FAST, SLOW = 0.90, 0.42
"""OKLCh lightness of the fewest and of the most steps to tolerance."""
# The first hues keep away from the outcomes' pink, orange and yellow.
FIRST_HUES = (250.0, 155.0, 305.0, 200.0)
GOLDEN_ANGLE = 137.50776
MOST_NAMED = 8
"""Minima that get an entry of their own in the legend."""


def cases(results: Results) -> list[dict[str, Any]]:
    """Cells of two-dimensional problems with at least ``FEWEST_STARTS`` starts."""
    found = []
    for cell in ran(results):
        starts = axes_of(cell, "start").get("start", {"values": []})["values"]
        if cell["problem"]["dim"] == 2 and len(starts) >= FEWEST_STARTS:
            fixed = parameter_values(cell)
            found += [{"cell": cell["id"]} | ({"at": at} if at else {}) for at in fixed]
    return found


def data(results: Results, cell: str, at: Mapping[str, float] | None = None) -> DataFrame:
    """Where each start ends, at the optimizer's best setting, for the first instance and seed.

    Args:
        results: a run.
        cell: id of the cell.
        at: values at which axes are held; hyperparameters not named take the best setting.

    Returns:
        A row a start: ``start_0``, ``start_1``, ``outcome``, ``basin`` (the number of the minimum it came to, -1 for
        none), ``settle_step`` (NaN where it never came within tolerance), ``end_0``, ``end_1``.
    """
    chosen = cell_of(results, cell)
    columns = ["start_0", "start_1", "basin", "end_0", "end_1"]
    table = rows(results, chosen, [*RECORD, *columns], at)
    if table.empty:
        return DataFrame()
    setting = {**(best_setting(table, chosen) or middle_setting(chosen)), **(at or {})}
    table = where(table, setting)
    table = keep(table, (table["instance"] == table["instance"].min()) & (table["seed"] == table["seed"].min()))
    frame = DataFrame({name: floats(table, name) for name in ("start_0", "start_1")})
    frame["outcome"] = table["outcome"].array
    frame["basin"] = np.nan_to_num(floats(table, "basin"), nan=-1).astype(int)
    for name in ("settle_step", "end_0", "end_1"):
        frame[name] = floats(table, name)
    fixed_words = [f"{name} {value:g}" for name, value in (at or {}).items()]
    hyperparameters = {name: value for name, value in setting.items() if name in axes_of(chosen, "hyperparameter")}
    frame.attrs = {
        "heading": heading(*place(chosen), *fixed_words, "best per problem"),
        "title": setting_text(chosen, hyperparameters).replace(" (", "\n(", 1),
        "minima": _minima(chosen, frame),
        "box": chosen["problem"]["box"],
        "range": _range(frame),
    }
    return frame


def colours(frame: DataFrame, low: float, high: float) -> np.ndarray:
    """RGB of each start, shape [n, 3]: hue = minimum, lightness = steps to tolerance, else the outcome's colour.

    A descent trapped in a minimum that is not the global one never comes within tolerance: its minimum's hue is pale.
    """
    rgb = outcome_image(outcome_codes(frame))
    steps = np.log(np.clip(frame["settle_step"].to_numpy(), max(low, 1.0), None))
    span = max(np.log(max(high, 1.0)) - np.log(max(low, 1.0)), 1e-9)
    lightness = FAST + (SLOW - FAST) * np.clip((steps - np.log(max(low, 1.0))) / span, 0, 1)
    basin, outcome = frame["basin"].to_numpy(), frame["outcome"].astype(str).to_numpy()
    solved = (basin >= 0) & (outcome == "converged")
    rgb[solved] = oklch(np.nan_to_num(lightness[solved], nan=0.66), 0.13, hue(basin[solved]))
    local = (basin >= 0) & (outcome == "trapped")
    rgb[local] = oklch(np.full(local.sum(), 0.80), 0.05, hue(basin[local]))
    return rgb


def hue(basin: np.ndarray) -> np.ndarray:
    """Hue of each minimum in degrees; after the first four the golden angle keeps neighbours in the list apart."""
    basin = np.asarray(basin, dtype=int)
    first = np.array(FIRST_HUES)[np.clip(basin, 0, len(FIRST_HUES) - 1)]
    return np.where(basin < len(FIRST_HUES), first, (basin * GOLDEN_ANGLE) % 360)


def oklch(lightness: np.ndarray | float, chroma: float, degrees: np.ndarray | float) -> np.ndarray:
    """An OKLCh colour as sRGB [..., 3], clipped to what a screen can show.

    In this space equal lightness looks equally light whatever the hue (B. Ottosson, 2020,
    https://bottosson.github.io/posts/oklab/, from which the two matrices are).
    """
    angle = np.deg2rad(degrees)
    lab = np.stack(np.broadcast_arrays(lightness, chroma * np.cos(angle), chroma * np.sin(angle)), axis=-1)
    cones = lab @ np.array(
        [[1.0, 1.0, 1.0], [0.3963377774, -0.1055613458, -0.0894841775], [0.2158037573, -0.0638541728, -1.2914855480]]
    )
    linear = cones**3 @ np.array(
        [
            [4.0767416621, -1.2684380046, -0.0041960863],
            [-3.3077115913, 2.6097574011, -0.7034186147],
            [0.2309699292, -0.3413193965, 1.7076147010],
        ]
    )
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def share(frames: list[DataFrame]) -> None:
    """One range of steps for all panels of a picture."""
    lows, highs = zip(*(frame.attrs["range"] for frame in frames), strict=True)
    for frame in frames:
        frame.attrs["range"] = (np.nanmin([*lows, np.inf]), np.nanmax([*highs, -np.inf]))


def draw(ax: Axes, frame: DataFrame) -> None:
    """An image where the starts fill a regular grid, else a point a start."""
    low, high = frame.attrs["range"]
    rgb = colours(frame, low, high)
    grid = start_grid(frame)
    if grid is None:
        size = float(np.clip(9000 / max(len(frame), 1), 3, 40))
        ax.scatter(frame["start_0"], frame["start_1"], c=rgb, s=size, lw=0.3, edgecolors="0.35", rasterized=True)
        for axis, bounds in zip((ax.set_xlim, ax.set_ylim), start_bounds(frame), strict=True):
            axis(*bounds)
    else:
        _draw_image(ax, frame, rgb, *grid)
    ax.set(xlabel="start x₀", ylabel="start x₁")
    inside_x, inside_y = ax.get_xlim(), ax.get_ylim()
    for basin, (x, y) in frame.attrs["minima"].items():
        if inside_x[0] <= x <= inside_x[1] and inside_y[0] <= y <= inside_y[1]:
            ax.plot([x], [y], "o", ms=5, mfc="white", mec="black", gid="minimum", zorder=5)
            offset = {"xytext": (5, 4), "textcoords": "offset points"}
            ax.annotate(str(basin), (x, y), **offset, fontsize=8, path_effects=halo(1.8, "white"), zorder=6)
    ax.set_aspect("equal" if _nearly_square(ax) else "auto")


def finish(picture: Picture, axes: list[Axes], frames: list[DataFrame]) -> None:
    """A grey bar for the steps, and a legend of minima and other outcomes."""
    low, high = frames[0].attrs["range"]
    if np.isfinite(low) and np.isfinite(high):
        grey = LinearSegmentedColormap.from_list("steps", oklch(np.linspace(FAST, SLOW, 64), 0.0, 0.0).tolist())
        norm = LogNorm(max(low, 1), high) if high > max(low, 1) else Normalize(low - 0.5, low + 0.5)
        label = "steps to tolerance (lightness)"
        bar = picture.colorbar(ScalarMappable(norm, grey), ax=axes, label=label, aspect=30, pad=0.015)
        bar.minorticks_off()
        ticks = np.unique(np.geomspace(max(low, 1), max(high, 1), 5).round())
        bar.set_ticks(ticks.tolist(), labels=[number(tick) for tick in ticks])
    handles: list[Any] = []
    reached = sorted({int(b) for frame in frames for b in frame["basin"] if b >= 0})
    for basin in reached[:MOST_NAMED]:
        handles.append(Patch(fc=tuple(oklch(0.66, 0.13, hue(np.array(basin)))), label=f"minimum {basin}"))
    if len(reached) > MOST_NAMED:
        handles.append(Patch(fc="none", label=f"and {len(reached) - MOST_NAMED} more"))
    if any((_trapped_in_minimum(frame)).any() for frame in frames):
        pale = tuple(oklch(0.80, 0.05, FIRST_HUES[0]))
        handles.append(Patch(fc=pale, ec="0.4", lw=0.5, label="pale: trapped in that minimum"))
    if any(frame.attrs["minima"] for frame in frames):
        handles.append(Line2D([], [], marker="o", ls="", mfc="white", mec="black", label="where the minima are"))
    other = {name for frame in frames for name in frame.loc[_other(frame), "outcome"].astype(str)}
    handles += outcome_handles(other)
    columns = 3 if len(axes) == 1 else 5
    picture.legend(handles=handles, loc="outside lower center", ncols=max(1, min(len(handles), columns)))


def middle_setting(cell: Mapping[str, Any]) -> dict[str, float]:
    """The middle of every hyperparameter axis: shown where no setting is best because all failed."""
    axes = axes_of(cell, "hyperparameter")
    return {name: sorted(axis["values"])[len(axis["values"]) // 2] for name, axis in axes.items()}


def _trapped_in_minimum(frame: DataFrame) -> np.ndarray:
    return ((frame["basin"] >= 0) & (frame["outcome"] == "trapped")).to_numpy()


def _other(frame: DataFrame) -> np.ndarray:
    """Starts that show their outcome's own colour."""
    in_minimum = (frame["basin"] >= 0) & frame["outcome"].isin(["converged", "trapped"])
    return ~in_minimum.to_numpy()


def _range(frame: DataFrame) -> tuple[float, float]:
    steps = frame["settle_step"].to_numpy()
    steps = steps[np.isfinite(steps)]
    return (float(steps.min()), float(steps.max())) if len(steps) else (np.nan, np.nan)


def _minima(cell: Mapping[str, Any], frame: DataFrame) -> dict[int, tuple[float, float]]:
    """Known minimizers by number; of minima found in the run, the middle of where their descents ended."""
    known = {i: (float(x[0]), float(x[1])) for i, x in enumerate(cell["problem"]["minimizers"] or [])}
    ends = frame[frame["basin"] >= 0].groupby("basin")[["end_0", "end_1"]].median()
    found = {int(basin): (float(end["end_0"]), float(end["end_1"])) for basin, end in ends.iterrows()}  # pyright: ignore[reportArgumentType]
    return {**found, **known}


def start_grid(frame: DataFrame) -> tuple[np.ndarray, np.ndarray] | None:
    """Column and row values where every place of a regular grid has its start, else None."""
    x, y = np.unique(frame["start_0"]), np.unique(frame["start_1"])
    if len(x) < 2 or len(y) < 2 or len(x) * len(y) != len(frame):
        return None
    return (x, y) if scale_of(x, "linear").kind == scale_of(y, "linear").kind == "linear" else None


def _draw_image(ax: Axes, frame: DataFrame, rgb: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    place = frame.assign(row=np.searchsorted(y, frame["start_1"]), column=np.searchsorted(x, frame["start_0"]))
    extent = (*scale_of(x, "linear").extent(), *scale_of(y, "linear").extent())
    channels = [image(place, rgb[:, channel], 1.0) for channel in range(3)]
    ax.imshow(np.stack(channels, -1), extent=extent, origin="lower", interpolation="nearest", rasterized=True)
    ends = np.where(_other(frame), -1 - outcome_codes(frame), frame["basin"])
    ax.add_collection(outline(image(place, ends, 0), extent, 0.6), autolim=False)


def start_bounds(frame: DataFrame) -> list[tuple[float, float]]:
    """The start box, or what the starts span where there is none, with a margin for the points."""
    if frame.attrs["box"] is not None:
        spans = list(zip(*frame.attrs["box"], strict=True))
    else:
        spans = [(float(np.min(x)), float(np.max(x))) for x in (frame["start_0"], frame["start_1"])]
    return [(low - 0.02 * (high - low) - 1e-9, high + 0.02 * (high - low) + 1e-9) for low, high in spans]


def _nearly_square(ax: Axes) -> bool:
    width, height = np.ptp(ax.get_xlim()), np.ptp(ax.get_ylim())
    return bool(0.6 < width / height < 1.7)


FIGURE = Figure(
    name="basins",
    number=2,
    question="Which minimum is reached from which start?",
    caption=(
        "Each point of the plane is a start, at the optimizer's best setting (chosen on even-numbered starts). Hue is "
        "the minimum that the descent came to, lightness the steps until it stayed within tolerance (dark is slow, "
        "logarithmic); pale hues are descents trapped in a minimum that is not the global one. Other outcomes have "
        "their own colours and are outlined. White circles mark the minima; their numbers are those of the table's "
        "column basin. The first instance and seed are shown."
    ),
    cases=cases,
    data=data,
    draw=draw,
    share=share,
    finish=finish,
    panel=(3.5, 3.4),
)
