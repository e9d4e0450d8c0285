"""A picture of one problem over its box: contours in two dimensions, the curve in one."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, Normalize, PowerNorm
from matplotlib.figure import Figure as Canvas
from scipy import ndimage

from gdbench.contracts import Problem
from gdbench.errors import GdbenchError
from gdbench.figures.style import RC, halo, number
from gdbench.grid import default_start

KINDS = (".png", ".svg", ".pdf")
POINTS = {1: 2001, 2: 401}
"""Points a side, by dimension."""

AT_ONCE = 4096
"""Points that are evaluated together: a problem with data multiplies its memory by them."""

LEVELS = 24
DECADES = 8
"""The logarithmic colour scale reaches so many decades below the highest value; farther where much of the box lies."""

CROWDED = 0.4
"""Contours between more neighbours than these would be one black area: they fade on the way there."""

SKEW = 20.0
"""From this ratio of the mean of f - f* over the box to its 5% quantile on, colours are logarithmic."""

# Without the darkest colours, on which black lines and marks would be lost.
COLOURS = ListedColormap(colormaps["viridis_r"](np.linspace(0.0, 0.9, 256)), "problem")


def save_picture(problem: Problem, path: Path) -> Path:
    """Draw a problem of one or two dimensions over its box and write the picture.

    Raises:
        GdbenchError: in one line, where there is nothing to draw or the file cannot be written.
    """
    if path.suffix.lower() not in KINDS:
        raise GdbenchError(f"{path}: a picture is one of {', '.join(KINDS)}, got {path.suffix or 'no ending'!r}")
    picture = draw_problem(problem)
    try:
        with rc_context(RC):  # pyright: ignore[reportArgumentType]
            picture.savefig(path, dpi=160)
    except OSError as error:
        raise GdbenchError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


def draw_problem(problem: Problem) -> Canvas:
    """The picture of a problem of one or two dimensions, with its minimizers and its start."""
    label = problem.label or problem.name
    if problem.dim not in POINTS:
        hint = ": say dim=2" if "dim" in problem.settings else ""
        raise GdbenchError(f"a picture has one or two dimensions, {label} has {problem.dim}{hint}")
    if problem.box is None:
        raise GdbenchError(f"{label} has no box to draw a picture of: give it one")
    lines = [np.linspace(a, b, POINTS[problem.dim]) for a, b in np.transpose(_ends(problem))]
    with rc_context(RC):  # pyright: ignore[reportArgumentType]
        canvas = Canvas(figsize=(5.4, 4.6) if problem.dim == 2 else (5.4, 3.8), layout="constrained")
        FigureCanvasAgg(canvas)
        ax = canvas.subplots()
        _curve(ax, problem, lines[0]) if problem.dim == 1 else _contours(canvas, ax, problem, lines)
        _title(canvas, problem, label)
        if ax.get_legend_handles_labels()[0]:
            canvas.legend(loc="outside lower center", ncols=3)
    return canvas


def _ends(problem: Problem) -> list[np.ndarray]:
    assert problem.box is not None
    return [np.broadcast_to(np.asarray(end, float), (problem.dim,)) for end in problem.box]


def _title(canvas: Canvas, problem: Problem, label: str) -> None:
    values = [f"{name} {number(value)}" for name, value in problem.parameters.items()]
    head = ", ".join([label, *values])
    # Two lines of what fits into the width; the formula of a composite runs over many.
    formula = textwrap.wrap(f"f(x) = {problem.formula}", 72, max_lines=2, placeholder=" …") if problem.formula else []
    canvas.suptitle("\n".join([head, *formula]), fontsize=9)


def evaluate(problem: Problem, points: np.ndarray) -> np.ndarray:
    """f - offset at points [n, dim] in float64, a few thousand at once; imports JAX."""
    import jax

    from gdbench.kernels.compiler import jit
    from gdbench.kernels.descent import numerics, unravel_of

    unravel = unravel_of(problem)
    parameters = {name: np.float64(value) for name, value in problem.parameters.items()}
    with numerics(np.float64):
        at = jit(
            lambda x, data: jax.lax.map(
                lambda x: problem.objective(unravel(x), data, parameters), x, batch_size=AT_ONCE
            )
        )
        return np.asarray(at(np.asarray(points, float), problem.data))


def _curve(ax: Axes, problem: Problem, x: np.ndarray) -> None:
    f = evaluate(problem, x[:, None]) + problem.offset
    ax.plot(x, f, color="#0072B2", lw=1.8)
    finite = f[np.isfinite(f)]
    margin = 0.06 * (np.ptp(finite) or 1.0)
    ax.set(xlabel="x", ylabel="f(x)", xlim=(x[0], x[-1]), ylim=(finite.min() - margin, finite.max() + margin))
    ax.grid(True, color="0.9", lw=0.6)

    def height(points: np.ndarray) -> np.ndarray:
        return evaluate(problem, points) + problem.offset

    _marks(ax, problem, lambda points: np.column_stack([points, height(points)]))


def _contours(canvas: Canvas, ax: Axes, problem: Problem, lines: list[np.ndarray]) -> None:
    points = np.stack([line.ravel() for line in np.meshgrid(*lines)], axis=1)
    value = evaluate(problem, points).reshape(len(lines[1]), len(lines[0]))
    known = problem.minimum is not None and problem.bounded
    # Where the minimum is known the gap is drawn, which the objective resolves near the minimizers.
    gap = value + (problem.offset - (problem.minimum or 0.0 if known else 0.0))
    levels, norm = _levels(gap, known)
    shown = np.clip(np.where(np.isfinite(gap), gap, levels[-1]), levels[0], levels[-1])
    filled = ax.contourf(*lines, shown, levels, cmap=COLOURS, norm=norm)
    filled.set_rasterized(True)
    busy = crowding(shown, levels)
    if busy.mean() < CROWDED:
        alone = np.ma.masked_where(busy > CROWDED, shown)
        fading = 0.5 * float(1 - busy.mean() / CROWDED)
        ax.contour(*lines, alone, levels[1:-1], colors="black", linewidths=0.35, alpha=fading)
    bar = canvas.colorbar(ScalarMappable(norm, COLOURS), ax=ax, pad=0.02, fraction=0.06)
    bar.set_label("f − f*" if known else "f")
    width, height = np.ptp(lines[0]), np.ptp(lines[1])
    ax.set(xlabel="x₀", ylabel="x₁", xlim=(lines[0][0], lines[0][-1]), ylim=(lines[1][0], lines[1][-1]))
    ax.set_aspect("equal" if 0.6 < width / height < 1.7 else "auto")
    _marks(ax, problem, lambda points: points)


def _levels(gap: np.ndarray, known: bool) -> tuple[np.ndarray, Normalize]:
    """Levels and colours: logarithmic where most of the box lies far above its lowest part.

    Elsewhere a power of the height above the lowest point, such that half of the box has the lower half of the colours.
    """
    finite = gap[np.isfinite(gap)]
    if not len(finite):
        raise GdbenchError("f is finite nowhere on the grid of the box: there is nothing to draw")
    low, high = 0.0 if known else float(finite.min()), float(finite.max())
    high = high if high > low else low + 1.0
    if known and float(finite.mean()) > SKEW * float(np.quantile(finite, 0.05)):
        least, low_part = np.quantile(finite[finite > 0], [0.0005, 0.05])
        floor = float(max(least, min(low_part, high * 10.0**-DECADES)))
        levels = np.geomspace(floor, high * (1 + 1e-9), LEVELS)
        return levels, LogNorm(levels[0], levels[-1])
    half = np.clip((float(np.median(finite)) - low) / (high - low), 1e-3, 1.0)
    power = float(np.clip(np.log(0.5) / np.log(min(half, 0.99)), 0.3, 1.0))
    levels = low + (high - low) * np.linspace(0, 1, LEVELS) ** (1 / power)
    return levels, PowerNorm(power, levels[0], levels[-1])


def crowding(shown: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Around every point of the grid, the share of neighbours between which a contour runs."""
    bands = np.digitize(shown, levels[1:-1])
    crossed = np.zeros(bands.shape)
    for axis in (0, 1):
        crossed += np.diff(bands, axis=axis, append=np.take(bands, [-1], axis)) != 0
    return ndimage.uniform_filter(crossed / 2, 9)


def _marks(ax: Axes, problem: Problem, place: Any) -> None:
    """Minimizers and the start."""
    style: dict[str, Any] = {"ls": "", "mec": "black", "clip_on": False, "zorder": 5}
    if problem.minimizers is not None and len(problem.minimizers):
        many = len(problem.minimizers) > 40
        at = place(np.asarray(problem.minimizers, float))
        name = "minimizer" if len(at) == 1 else f"{len(at)} minimizers"
        ax.plot(*at.T, marker="P", ms=5 if many else 10, mfc="white", mew=0.5 if many else 1.0, label=name, **style)
    start = place(default_start(problem)[None])
    ax.plot(*start.T, marker="o", ms=8, mfc="none", mew=1.5, path_effects=halo(3.2, "white"), label="start", **style)
