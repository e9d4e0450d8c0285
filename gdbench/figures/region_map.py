"""Figure 1: where does an optimizer converge, and how fast?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import CenteredNorm
from matplotlib.lines import Line2D
from pandas import DataFrame

from gdbench.figures.base import Figure, Picture, Results
from gdbench.figures.boundary import best_in_theory, rate_in_theory, stability_boundary, theory_words
from gdbench.figures.choose import axes_of, cell_of, heading, parameter_values, place, ran
from gdbench.figures.grids import Extent, image, outcome_codes, outline, pixels, region_names, stride
from gdbench.figures.placed import best_settings
from gdbench.figures.placed import place as place_descents
from gdbench.figures.scale import Scale
from gdbench.figures.style import RATE_LABEL, RATE_MAP, halo, outcome_handles, outcome_image

Mark = tuple[float, float | None]
MOST_MARKS = 16
MARKS = {"best": "*", "default": "X", "optimum": "d"}
MARK_STYLE: dict[str, Any] = {"linestyle": "", "markerfacecolor": "white", "markeredgecolor": "black", "zorder": 6}
# White dashes on black are seen on every colour of the map, and on the legend's paper.
THEORY_STYLES: tuple[dict[str, Any], ...] = (
    {"color": "black", "linewidth": 2.6, "zorder": 5},
    {"color": "white", "linewidth": 1.4, "linestyle": (0, (3, 2)), "zorder": 5.1},
)


FEWEST_VALUES = 3
"""Values along the horizontal axis that make a map."""


def cases(results: Results) -> list[dict[str, Any]]:
    """Learning rate against each other axis of a cell; without learning rates, its first hyperparameter.

    An axis of two values makes no map, and where a parameter of the problem varies, the map over it says more than one
    over starts for each of its values.
    """
    found = []
    for cell in ran(results):
        parameters = axes_of(cell, "parameter")
        for x, y in _axis_pairs(cell):
            if len(axes_of(cell)[x]["values"]) < FEWEST_VALUES or (y == "start" and parameters):
                continue
            fixed = parameter_values(cell, skip=(x, y))
            found += [{"cell": cell["id"], "x": x, "y": y} | ({"at": at} if at else {}) for at in fixed]
    return found


def data(
    results: Results, cell: str, x: str = "learning_rate", y: str = "start", at: Mapping[str, float] | None = None
) -> DataFrame:
    """Majority outcome and median signed rate over a grid of two axes.

    Args:
        results: a run.
        cell: id of the cell.
        x: name of the horizontal axis.
        y: name of the vertical axis; ``start`` is sorted by its coordinate in one dimension, else by f there.
        at: values at which other axes are held; the rest is summarised.

    Returns:
        A row a pixel: the two axes' values, ``outcome``, ``share``, ``descents``, ``rate`` (see ``grids.pixels``),
        ``boundary``, the largest stable learning rate in theory, and ``rate_in_theory``, that in the long run (NaN
        where there is no closed form).
    """
    chosen = cell_of(results, cell)
    placed = place_descents(results, chosen, x, y, at or {})
    if placed is None:
        return DataFrame()
    x_scale, y_scale = placed.scales
    strides = stride(len(y_scale.values)), stride(len(x_scale.values))
    frame = pixels(placed.code, placed.rate, placed.y // strides[0], placed.x // strides[1])
    frame.insert(2, x, _pixel_values(frame["column"].to_numpy(), x_scale, strides[1]))
    frame.insert(3, y, _pixel_values(frame["row"].to_numpy(), y_scale, strides[0]))
    frame["boundary"] = stability_boundary(chosen, frame, at or {})
    frame["rate_in_theory"] = rate_in_theory(chosen, frame, at or {})
    defaults = {name: value for name, value in chosen["optimizer"]["defaults"].items() if value is not None}
    fixed_words = [f"{name} {value:g}" for name, value in (at or {}).items()]
    frame.attrs = {
        "heading": heading(*place(chosen), *fixed_words),
        "title": chosen["optimizer"]["label"],
        "x": x,
        "y": y,
        "labels": (_label(chosen, x), _label(chosen, y)),
        "scales": (x_scale, y_scale),
        "extent": (*x_scale.extent(strides[1]), *y_scale.extent(strides[0])),
        "best": _best_marks(results, chosen, (x, y), (x_scale, y_scale), at or {}),
        "default": _marks(defaults, (x, y), (x_scale, y_scale)),
        "optimum": _optimum_marks(chosen, (x, y), (x_scale, y_scale), at or {}),
        "theory": theory_words(chosen),
        "halfrange": halfrange(frame["rate"].to_numpy()),
    }
    return frame


def halfrange(rate: np.ndarray) -> float:
    """Half the colour range: the 98th percentile of the speed of convergence.

    Divergence can be a hundred times faster than any convergence and would leave all of that in the dark.
    """
    speed = -rate[rate < 0] if np.any(rate < 0) else np.abs(rate[np.isfinite(rate)])
    return float(np.quantile(speed, 0.98)) if len(speed) and speed.max() > 0 else 1.0


def share(frames: list[DataFrame]) -> None:
    """One colour range for all panels of a picture."""
    together = halfrange(np.concatenate([frame["rate"].to_numpy() for frame in frames]))
    for frame in frames:
        frame.attrs["halfrange"] = together


def draw(ax: Axes, frame: DataFrame) -> None:
    """Signed rate as colour, the outcome's own colour where there is no rate, outlines, theory and marks."""
    extent: Extent = frame.attrs["extent"]
    codes = image(frame, outcome_codes(frame), -1)
    rate = image(frame, frame["rate"].to_numpy(), np.nan)
    flat: dict[str, Any] = {"extent": extent, "origin": "lower", "aspect": "auto", "interpolation": "nearest"}
    ax.imshow(outcome_image(codes), rasterized=True, **flat)
    norm = CenteredNorm(0, halfrange=frame.attrs["halfrange"])
    ax.imshow(np.ma.masked_invalid(rate), cmap=RATE_MAP, norm=norm, rasterized=True, **flat)
    ax.add_collection(outline(codes, extent), autolim=False)
    for name in region_names(codes, extent):
        turn = 90 if name.upright else 0
        ax.text(
            name.x, name.y, name.text, rotation=turn, color="white", fontsize=8, ha="center", va="center",
            path_effects=halo(), gid="region",
        )  # fmt: skip
    _draw_theory(ax, frame)
    for kind, size in (("optimum", 8), ("default", 8), ("best", 12)):
        for mark in frame.attrs[kind]:
            _draw_mark(ax, mark, MARKS[kind], size if len(frame.attrs[kind]) == 1 else 0.6 * size)
    ax.set(xlabel=frame.attrs["labels"][0], ylabel=frame.attrs["labels"][1], xlim=extent[:2], ylim=extent[2:])
    for scale, axis in zip(frame.attrs["scales"], (ax.xaxis, ax.yaxis), strict=True):
        scale.tick(axis)


def finish(picture: Picture, axes: list[Axes], frames: list[DataFrame]) -> None:
    """The colour bar of the rates, and a legend of what else is there."""
    if any(frame["rate"].notna().any() for frame in frames):
        norm = CenteredNorm(0, halfrange=frames[0].attrs["halfrange"])
        spec = axes[0].get_subplotspec()
        rows = 1 if spec is None else spec.get_gridspec().nrows
        arrow = 0.04 / rows
        shape: dict[str, Any] = {"extend": "both", "extendfrac": arrow, "aspect": 30 * rows, "pad": 0.015}
        bar = picture.colorbar(ScalarMappable(norm, colormaps[RATE_MAP]), ax=axes, label=RATE_LABEL, **shape)
        bar.ax.set_title("diverges", fontsize=8)
        bar.ax.text(0.5, -1.5 * arrow, "converges", fontsize=8, ha="center", va="top", transform=bar.ax.transAxes)
    handles, labels = _legend_entries(frames)
    if handles:
        title = "plain colours: outcome, where there is no rate" if outcomes_without_rate(frames) else None
        columns = min(len(handles), 3 if len(axes) == 1 else 6)
        picture.legend(handles, labels, loc="outside lower center", ncols=columns, title=title)


def outcomes_without_rate(frames: list[DataFrame]) -> set[str]:
    """Outcomes that show their own colour somewhere."""
    return {name for frame in frames for name in frame.loc[frame["rate"].isna(), "outcome"].astype(str)}


def _legend_entries(frames: list[DataFrame]) -> tuple[list[Any], list[str]]:
    handles: list[Any] = []
    labels: list[str] = []
    for mark, text in (
        ("best", "best setting"),
        ("optimum", "best in theory"),
        ("default", "library default"),
    ):
        if any(frame.attrs[mark] for frame in frames):
            handles.append(Line2D([], [], marker=MARKS[mark], markersize=9, **MARK_STYLE))
            labels.append(text)
    with_theory = [frame for frame in frames if theory_is_drawn(frame)]
    if with_theory:
        handles.append(tuple(Line2D([], [], **style) for style in THEORY_STYLES))
        labels.append(with_theory[0].attrs["theory"])
    patches = outcome_handles(outcomes_without_rate(frames))
    return [*handles, *patches], [*labels, *(str(patch.get_label()) for patch in patches)]


def _axis_pairs(cell: Mapping[str, Any]) -> list[tuple[str, str]]:
    axes = axes_of(cell, "hyperparameter", "parameter", "start")
    leading = [name for name in ("learning_rate", *axes_of(cell, "hyperparameter")) if name in axes][:1]
    return [(x, y) for x in leading for y in axes if y != x]


def _pixel_values(index: np.ndarray, scale: Scale, width: int) -> np.ndarray:
    """The middle of the values that share each pixel."""
    values = np.array(scale.values)
    low = index * width
    return (values[low + (np.minimum(low + width, len(values)) - low - 1) // 2]).astype(float)


def _label(cell: Mapping[str, Any], name: str) -> str:
    if name != "start":
        return name.replace("_", " ")
    return "start x₀" if cell["problem"]["dim"] == 1 else "start, ordered by f there"


def _marks(setting: Mapping[str, float], names: tuple[str, str], scales: tuple[Scale, Scale]) -> list[Mark]:
    """Where a setting stands: at (x, y), at (x, None) where the vertical axis is no part of it, or nowhere."""
    (x, y), (x_scale, y_scale) = names, scales
    if x not in setting or not x_scale.inside(setting[x]):
        return []
    across = float(x_scale.position(setting[x]))
    if y not in setting:
        return [(across, None)]
    return [(across, float(y_scale.position(setting[y])))] if y_scale.inside(setting[y]) else []


def _best_marks(
    results: Results, cell: Mapping[str, Any], names: tuple[str, str], scales: tuple[Scale, Scale],
    at: Mapping[str, float],
) -> list[Mark]:  # fmt: skip
    """The best setting, or where the vertical axis changes the problem, the best for each of its values."""
    y = names[1]
    if y not in axes_of(cell, "parameter"):
        return _marks(best_settings(results, cell, at).get(None, {}), names, scales)
    best = best_settings(results, cell, at, along=y)
    return _thinned([{**best[value], y: value} for value in scales[1].values if value in best], names, scales)


def _optimum_marks(
    cell: Mapping[str, Any], names: tuple[str, str], scales: tuple[Scale, Scale], at: Mapping[str, float]
) -> list[Mark]:
    """The best setting in theory, in the same places."""
    if names[0] != "learning_rate":
        return []
    return _thinned(best_in_theory(cell, names[1], at), names, scales)


def _thinned(settings: list[dict[str, float]], names: tuple[str, str], scales: tuple[Scale, Scale]) -> list[Mark]:
    shown = settings[:: stride(len(settings), MOST_MARKS)] if settings else []
    return [mark for setting in shown for mark in _marks(setting, names, scales)]


def _draw_mark(ax: Axes, mark: Mark, symbol: str, size: float) -> None:
    x, y = mark
    # A setting says nothing about the start: its mark stands at the top edge, for the whole column.
    place: dict[str, Any] = {"transform": ax.get_xaxis_transform()} if y is None else {}
    ax.plot(
        [x],
        [0.955 if y is None else y],
        marker=symbol,
        markersize=size,
        gid="setting",
        clip_on=False,
        **place,
        **MARK_STYLE,
    )


def theory_is_drawn(frame: DataFrame) -> bool:
    """Whether a map has the learning rate as an axis and a boundary to draw."""
    return "learning_rate" in (frame.attrs["x"], frame.attrs["y"]) and bool(frame["boundary"].notna().any())


def _draw_theory(ax: Axes, frame: DataFrame) -> None:
    """The stability boundary as a line: a learning rate for each value of the other axis."""
    if not theory_is_drawn(frame):
        return
    upright = frame.attrs["x"] == "learning_rate"
    rate_scale, other_scale = frame.attrs["scales"] if upright else frame.attrs["scales"][::-1]
    along = frame.groupby("row" if upright else "column")["boundary"].first()
    low, high = frame.attrs["extent"][2:] if upright else frame.attrs["extent"][:2]
    other = np.linspace(low, high, len(along) * 2 + 1)[1::2]
    rate = rate_scale.position(along.to_numpy())
    # The boundary belongs to the middle of a pixel; it goes on unchanged to the outer edges.
    line = [np.r_[rate[0], rate, rate[-1]], np.r_[low, other, high]]
    for style in THEORY_STYLES:
        ax.plot(*(line if upright else line[::-1]), gid="theory", **style)


FIGURE = Figure(
    name="region-map",
    number=1,
    question="Where does it converge, and how fast?",
    caption=(
        "Colour is the signed rate in decades of gap per step (negative converges): cyan is fast convergence, dark is "
        "no progress, amber is fast divergence; beyond the colour bar's ends the colour stays. A pixel shows its most "
        "frequent outcome and the median rate of the descents that ended so; where these have no rate, the outcome's "
        "own colour. White lines part the outcomes. The star is the best setting, chosen on even-numbered starts; "
        "the cross is the library's default; both stand at the top edge where the vertical axis is no setting, and "
        "where it is a parameter of the problem there is a star for each of its values. The diamond is the setting "
        "with the fastest rate in the long run in theory. The dashed line is the largest stable learning rate in "
        "theory: exact where the Hessian is the same everywhere; else local, of starts near a minimizer."
    ),
    cases=cases,
    data=data,
    draw=draw,
    share=share,
    finish=finish,
)
