"""Colours, line styles and type sizes that every figure shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

import matplotlib.style
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, withStroke
from matplotlib.ticker import FuncFormatter, LogFormatterSciNotation, NullFormatter
from matplotlib.transforms import Affine2DBase, ScaledTranslation, blended_transform_factory

from gdbench.contracts import OUTCOMES

OUTCOME_COLOURS: dict[str, str] = {
    "nonfinite": "#000000",
    "diverged": "#D55E00",
    "converged": "#0072B2",
    "trapped": "#CC79A7",
    "oscillating": "#F0E442",
    "unfinished": "#BBBBBB",
}
"""Okabe and Ito's palette, which stays apart under every common colour blindness."""

RATE_MAP = "managua_r"
"""Signed rate: cyan converges fast, dark is rate 0 (the boundary draws itself), amber diverges fast."""

RATE_LABEL = "signed rate (decades of gap per step)"

# petroff10 is made for lines that must be told apart by everybody; it ships with matplotlib as a style.
LINE_COLOURS: tuple[str, ...] = tuple(matplotlib.style.library["petroff10"]["axes.prop_cycle"].by_key()["color"])
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.6, 1.2, 1.6)))

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "figure.titlesize": 11,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.6,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
    "figure.constrained_layout.h_pad": 0.09,
    "figure.constrained_layout.w_pad": 0.06,
    # Ids inside an SVG are random unless salted: the same run must give the same file.
    "svg.hashsalt": "gdbench",
}
"""Settings that hold while a picture is drawn and saved; matplotlib's own are never changed."""


def optimizer_style(labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Line colour and dashes for each optimizer, by its place in the run.

    Args:
        labels: optimizer labels in table order; repetitions are ignored.

    Returns:
        Keyword arguments of ``Axes.plot`` by label. The first 20 differ in colour or dashes at once.
    """
    unique = list(dict.fromkeys(labels))
    return {
        label: {
            "color": LINE_COLOURS[i % len(LINE_COLOURS)],
            # Colours repeat after 10 and dashes after 4, so pairs repeat after 20; then the dashes move on by one.
            "linestyle": DASHES[(i + i // 20) % len(DASHES)],
        }
        for i, label in enumerate(unique)
    }


def outcome_image(codes: np.ndarray) -> np.ndarray:
    """Outcome codes [...] (places in OUTCOMES, -1 for no descent) as RGB [..., 3]; no descent is white."""
    palette = np.array([to_rgb(OUTCOME_COLOURS[name]) for name in OUTCOMES] + [(1.0, 1.0, 1.0)])
    return palette[codes]


def outcome_handles(names: Iterable[str]) -> list[Patch]:
    """Legend entries for outcomes, in the order in which outcomes are decided."""
    shown = set(names)
    return [Patch(facecolor=OUTCOME_COLOURS[n], edgecolor="0.3", lw=0.5, label=n) for n in OUTCOMES if n in shown]


def line_handles(texts: Mapping[str, str], styles: Mapping[str, dict[str, Any]]) -> list[Line2D]:
    """Legend entries for optimizers: ``texts`` says what stands beside each line."""
    return [Line2D([], [], **styles[label], label=text) for label, text in texts.items()]


class Owner(NamedTuple):
    """Whose an artist is: optimizers by their labels, and the problem that it is about, if it is one."""

    optimizers: tuple[str, ...]
    problem: str | None


def belongs(artists: Artist | Iterable[Artist], *optimizers: str, problem: str | None = None) -> None:
    """Remember on artists whose they are: a page hides them as soon as it hides one of these.

    What is remembered of no one stays where the artists around it are hidden.
    """
    for artist in [artists] if isinstance(artists, Artist) else artists:
        vars(artist)["owner"] = Owner(tuple(map(str, optimizers)), problem)


def owner_of(artist: Artist) -> Owner | None:
    """What ``belongs`` remembered; None for what is everybody's."""
    return vars(artist).get("owner")


def entries_belong(legend: Legend, optimizers: Iterable[str]) -> None:
    """Say whose the first entries of a legend are, both their samples and their words."""
    for label, sample, text in zip(optimizers, legend.legend_handles, legend.get_texts(), strict=False):
        belongs([entry for entry in (sample, text) if entry is not None], label)


def halo(width: float = 2.2, colour: str = "black") -> list[Any]:
    """Path effects that keep a light mark readable on any background."""
    return [withStroke(linewidth=width, foreground=colour), Normal()]


def strip_above(ax: Axes, height: float, gap: float = 0.06) -> Axes:
    """Further axes above others, as wide, and so many inches high in every picture; the layout makes room for them."""
    figure = ax.get_figure(root=True)
    assert figure is not None, "axes are drawn on a figure"
    inches = figure.dpi_scale_trans + ScaledTranslation(0, 1, cast(Affine2DBase, ax.transAxes))
    return ax.inset_axes((0, gap, 1, height), transform=blended_transform_factory(ax.transAxes, inches))


SUPERSCRIPT = str.maketrans("-−0123456789", "⁻⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_of_ten(exponent: int) -> str:
    """10ⁿ in plain letters: laying out mathematics takes ten times as long."""
    return f"10{str(exponent).translate(SUPERSCRIPT)}"


def _tick_text(value: float, _: Any = None) -> str:
    """The label of a tick on a logarithmic axis."""
    exponent = np.log10(abs(value)) if value else 0.5
    if abs(exponent - round(exponent)) > 1e-6:
        return number(value)
    return ("−" if value < 0 else "") + power_of_ten(round(exponent))


def tick_powers(figure: Figure) -> None:
    """Label the logarithmic axes that nobody has labelled with powers of ten; minor ticks where there is one alone."""
    for ax in [part for whole in figure.axes for part in (whole, *whole.child_axes)]:
        for axis in (ax.xaxis, ax.yaxis):
            if isinstance(axis.get_major_formatter(), LogFormatterSciNotation):
                axis.set_major_formatter(FuncFormatter(_tick_text))
                low, high = np.abs(axis.get_view_interval())
                if axis.get_scale() != "log" or high > 10 * low:
                    axis.set_minor_formatter(NullFormatter())


def number(value: float) -> str:
    """A number for a label: three digits, no needless exponent, a true minus sign."""
    rounded = float(f"{value:.3g}")
    text = (
        f"{rounded:.15g}"
        if 1e-4 <= abs(rounded) < 1e5 or rounded == 0
        else f"{rounded:g}".replace("e+0", "e").replace("e-0", "e-")
    )
    return text.replace("-", "\N{MINUS SIGN}")
