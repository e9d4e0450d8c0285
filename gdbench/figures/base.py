"""What a figure is, and how its panels become one picture on disk."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from pandas import DataFrame

from gdbench.errors import GdbenchError
from gdbench.figures.style import RC, belongs, owner_of, tick_powers

DPI = 160
"""Dots an inch of a PNG."""

MOST_PANELS = 12
"""Panels in one picture; further ones go to the next."""


class Results(Protocol):
    """What a figure reads of a run (``gdbench.results.Results`` has it)."""

    @property
    def suite(self) -> dict[str, Any]:
        """The resolved suite."""
        ...

    @property
    def cells(self) -> list[dict[str, Any]]:
        """One plain dictionary a cell, in table order."""
        ...

    @property
    def memo(self) -> dict[Any, Any]:
        """What was worked out of the run before, by a key that starts with its kind."""
        ...

    def table(self, columns: list[str] | None = None, cells: list[str] | None = None) -> DataFrame:
        """A row a descent."""
        ...

    @property
    def timing(self) -> list[dict[str, Any]]:
        """Seconds and descents of every cell that ran here."""
        ...

    def directions(self, problem: str) -> DataFrame | None:
        """A problem's slopes along unit vectors, where its experiment asked for them."""
        ...

    def clock(self, problem: str) -> DataFrame | None:
        """Seconds of a value and of a gradient of a problem, where an experiment asked for them."""
        ...

    def surface(self, problem: str) -> DataFrame | None:
        """A problem's values on a regular grid, for one and two dimensions."""
        ...


class Picture(Canvas):
    """A matplotlib figure that remembers the numbers it was drawn from.

    Attributes:
        frames: one frame a panel, as ``Figure.data`` returned them.
        alt: one sentence for readers who cannot see it.
        optimizers: labels of the run's optimizers, in their order.
        problems: those of its problems.
    """

    frames: list[DataFrame]
    alt: str = ""
    optimizers: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Figure:
    """An entry of the figure catalogue: one question, its numbers, its drawing.

    A frame that ``data`` returns (empty, where a case has no descents) carries in ``attrs`` what is not a number of its
    own: ``heading`` (of the picture), ``title`` (of the panel) and whatever ``draw`` needs.

    Attributes:
        name: name in the catalogue.
        number: its place in the report.
        question: what it answers.
        caption: what is drawn, with its definitions.
        cases: results -> the choices for which it has something to say, each the keyword arguments of ``data``.
        data: (results, **case) -> the numbers.
        draw: (axes, frame) -> None.
        share: settle before drawing what all panels of a picture have in common (the colour range).
        finish: (picture, axes, frames) -> None, adds the shared colour bar and legend.
        panel: width and height of one panel in inches.
        columns: panels in one row at most.
        extra: frames -> inches that the picture needs beyond its panels (a long legend).
    """

    name: str
    number: int
    question: str
    caption: str
    cases: Callable[[Results], list[dict[str, Any]]]
    data: Callable[..., DataFrame]
    draw: Callable[[Axes, DataFrame], None]
    share: Callable[[list[DataFrame]], None] | None = None
    finish: Callable[[Picture, list[Axes], list[DataFrame]], None] | None = None
    panel: tuple[float, float] = (3.7, 3.1)
    columns: int = 3
    extra: Callable[[list[DataFrame]], float] | None = None


def pictures(figure: Figure, results: Results) -> dict[str, list[dict[str, Any]]]:
    """The cases of a figure put together into pictures, by file stem.

    Panels that belong together share a picture: one experiment, problem and dtype (and pair of axes), at most
    ``MOST_PANELS`` of them.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for case in figure.cases(results):
        groups.setdefault(_stem(figure, results, case), []).append(case)
    parts = {}
    for stem, cases in groups.items():
        pages = [cases[i : i + MOST_PANELS] for i in range(0, len(cases), MOST_PANELS)]
        parts |= {stem + (f"-{i + 1}" if len(pages) > 1 else ""): page for i, page in enumerate(pages)}
    return parts


def render(figure: Figure, results: Results, cases: Sequence[dict[str, Any]]) -> Picture:
    """Draw cases of a figure side by side, with one colour bar or legend; a case without descents is left out.

    Raises:
        GdbenchError: there is no case to draw.
    """
    told = [(case, figure.data(results, **case)) for case in cases]
    told = [(case, frame) for case, frame in told if len(frame)]
    frames = [frame for _, frame in told]
    if not frames:
        raise GdbenchError(f"figure {figure.name!r} has nothing to say about these results")
    if figure.share:
        figure.share(frames)
    with rc_context(RC):  # pyright: ignore[reportArgumentType]
        picture, axes = _canvas(figure, len(frames), figure.extra(frames) if figure.extra else 0.0)
        for ax, (case, frame) in zip(axes, told, strict=True):
            figure.draw(ax, frame)
            ax.set_title(frame.attrs.get("title", ""))
            if "cell" in case:
                belongs(ax, next(cell["optimizer"]["label"] for cell in results.cells if cell["id"] == case["cell"]))
        _hide_inner_labels(axes)
        # A letter of the heading is about 0.085 inches wide.
        letters = int(picture.get_size_inches()[0] / 0.085)
        picture.suptitle(textwrap.fill(frames[0].attrs.get("heading", ""), letters))
        if figure.finish:
            figure.finish(picture, axes, frames)
        tick_powers(picture)
    picture.frames = frames
    picture.optimizers, picture.problems = (
        tuple(dict.fromkeys(cell[kind]["label"] for cell in results.cells)) for kind in ("optimizer", "problem")
    )
    panels = ", ".join(filter(None, (frame.attrs.get("title") for frame in frames)))
    picture.alt = f"{figure.question} {frames[0].attrs.get('heading', '')}: {panels}".rstrip(": ")
    return picture


def save(picture: Picture, folder: Path, stem: str) -> dict[str, Path]:
    """Write a picture as PNG (160 dots an inch) and SVG, and its numbers as CSV.

    Returns:
        The paths written, by 'png', 'svg' and 'csv'.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {kind: folder / f"{stem}.{kind}" for kind in ("png", "svg", "csv")}
    with rc_context(RC):  # pyright: ignore[reportArgumentType]
        picture.set_dpi(DPI)
        # Once for both: with an engine in place matplotlib would draw everything twice for either file.
        engine = picture.get_layout_engine()
        if engine is not None:
            engine.execute(picture)
            picture.set_layout_engine(None)
        picture.savefig(paths["png"], dpi=DPI, metadata={"Description": picture.alt})
        with _told_apart(picture):
            # Without the date the same run gives the same bytes.
            picture.savefig(paths["svg"], dpi=DPI, metadata={"Date": None, "Title": picture.alt})
    numbers(picture).to_csv(paths["csv"], index=False, float_format="%.8g")
    return paths


@contextmanager
def _told_apart(picture: Picture) -> Iterator[None]:
    """While an SVG is written: ids say whose each artist is, and none stands twice.

    The id of-3-5_2.17 is that of the 17th artist; it belongs to optimizers 3 and 5 and problem 2, by their places in
    the run.
    """
    artists = [artist for artist in picture.findobj() if artist.get_gid() or owner_of(artist)]
    before = [artist.get_gid() for artist in artists]
    for count, artist in enumerate(artists):
        artist.set_gid(_id_of(artist, count, picture))
    try:
        yield
    finally:
        for artist, gid in zip(artists, before, strict=True):
            artist.set_gid(gid)


def shown_in(picture: Picture) -> list[str]:
    """Labels of the optimizers whose artists a picture marks, in the order of the run."""
    owners = [owner for artist in picture.findobj() if (owner := owner_of(artist))]
    marked = {label for owner in owners for label in owner.optimizers}
    return [label for label in picture.optimizers if label in marked]


def _id_of(artist: Artist, count: int, picture: Picture) -> str | None:
    owner = owner_of(artist)
    if owner is None:
        return None
    mine = "".join(f"-{picture.optimizers.index(label)}" for label in owner.optimizers if label in picture.optimizers)
    mine += "" if owner.problem not in picture.problems else f"_{picture.problems.index(owner.problem)}"
    return f"of{mine}.{count}"


def numbers(picture: Picture) -> DataFrame:
    """All panels' frames as one, with a column ``panel`` where there is more than one."""
    frames = [frame.copy(deep=False) for frame in picture.frames]
    for frame in frames:
        frame.attrs = {}
    if len(frames) == 1:
        return frames[0]
    titles = [frame.attrs.get("title", str(i)) for i, frame in enumerate(picture.frames)]
    for title, frame in zip(titles, frames, strict=True):
        frame.insert(0, "panel", title)
    return pd.concat(frames, ignore_index=True)


def _canvas(figure: Figure, count: int, extra: float) -> tuple[Picture, list[Axes]]:
    columns = min(count, figure.columns)
    # Four panels look better as a square than as three and one.
    columns = 2 if count == 4 and columns == 3 else columns
    rows = -(-count // columns)
    width, height = figure.panel
    # A single panel is given more room; the margin holds heading, colour bar and legend.
    grow = 1.35 if count == 1 else 1.0
    size = max(columns * width * grow, 4.2) + 0.8, rows * height * grow + 0.8 + extra
    picture = Picture(figsize=size, layout="constrained")
    FigureCanvasAgg(picture)
    grid = picture.add_gridspec(rows, columns)
    return picture, [picture.add_subplot(grid[i // columns, i % columns]) for i in range(count)]


def _hide_inner_labels(axes: list[Axes]) -> None:
    """Say the name of an axis once a row and once a column, where all panels have the same."""
    if len({ax.get_ylabel() for ax in axes}) == 1:
        # The name left over serves the other panels too, so it stays where its own is hidden.
        for ax in axes:
            spec = ax.get_subplotspec()
            if spec is not None and not spec.is_first_col():
                ax.set_ylabel("")
            elif spec is not None and spec.get_gridspec().ncols > 1:
                belongs(ax.yaxis.label)
    if len({ax.get_xlabel() for ax in axes}) == 1:
        columns = {}
        for ax in axes:
            spec = ax.get_subplotspec()
            columns.setdefault(None if spec is None else spec.colspan.start, []).append(ax)
        for stack in columns.values():
            for ax in stack[:-1]:
                ax.set_xlabel("")
            belongs([ax.xaxis.label for ax in stack[-1:] if len(stack) > 1])


def _stem(figure: Figure, results: Results, case: dict[str, Any]) -> str:
    words = [f"{figure.number:02d}", figure.name]
    if "cell" in case:
        cell = next(cell for cell in results.cells if cell["id"] == case["cell"])
        words += [cell["experiment"], cell["problem"]["label"], cell["dtype"]]
        # Panels of one picture differ in the optimizer; another value of a parameter is another picture.
        words += [f"{name}-{value:g}" for name, value in (case.get("at") or {}).items()]
    words += [str(case[key]) for key in ("experiment", "problem", "dtype", "x", "y") if key in case]
    words += case.get("experiments", [])[:1]  # an experiment is in one picture of a problem
    return "-".join(re.sub(r"[^a-z0-9.]+", "-", word.lower()).strip("-") for word in words)
