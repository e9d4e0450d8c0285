"""Throughput against the number of lanes: gradient descent from a hundred descents to ten million."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from gdbench.bench import descents, product, ways
from gdbench.bench.sizes import Sizes
from gdbench.bench.timing import Row, attempt, timed
from gdbench.bench.work import Work, check, make_work

GROUP = "throughput"

RECORD = "outcome"
"""What gdbench keeps of a descent here, its default."""


def chosen() -> list[ways.Way]:
    """The ways that take many lanes at once; the limit on all cores is the line above them."""
    engines = {f"gdbench-{engine}-{RECORD}" for engine in product.engines()}
    return [way for way in ways.all_ways() if way.name in {"numpy", ways.PLAIN, ways.LIMIT, *engines}]


def square(lanes: int) -> tuple[int, int]:
    """Learning rates and starts whose product is the number of lanes, as near to each other as it allows."""
    rates = next(n for n in range(math.isqrt(lanes), 0, -1) if lanes % n == 0)
    return rates, lanes // rates


FROM, TOO_LONG = 10_000, 4.0
"""Lanes from which time grows with their number, and how many times the patience a run may be expected to take."""


def rows(sizes: Sizes, say: Callable[[str], None]) -> Iterator[Row]:
    """A row for every way and number of lanes; a way that would take too long with more lanes says so."""
    last: dict[str, Row] = {}
    for lanes in sizes.curve_lanes:
        work = make_work("gd", *square(lanes), sizes.curve_steps)
        say(f"throughput, {lanes:,} lanes")
        done = []
        for way in chosen():
            before, expected = last.get(way.name), 0.0
            if before is not None and before.seconds and before.lanes and before.lanes >= FROM:
                expected = before.seconds * lanes / before.lanes
            if expected > TOO_LONG * sizes.patience:
                why = f"out of time: {lanes:,} lanes would take {expected:.0f} s"
                done.append(Row(GROUP, way.name, way.summary, lanes_whole=lanes, steps=work.steps, why=why))
                continue
            done.append(row(work, way, sizes.patience))
            last[way.name] = done[-1]
        yield from descents.compared(done)


CHECKED_LANES = 100_000
"""Lanes up to which gdbench's answers are checked here too: its table of ten million takes gigabytes."""


def row(work: Work, way: ways.Way, patience: float) -> Row:
    """One way at one number of lanes, on the device alone."""

    def fill(told: Row) -> None:
        ready = way.ready(work)
        told.compile_seconds = ready.compile_seconds
        times, out = timed(ready.run, patience=patience)
        told.take(times, work.lanes, work.steps)
        if ready.table is not None:
            out = ready.table() if work.lanes <= CHECKED_LANES else None
        if out is not None:
            told.take_agreement(check(way.name, work, ready.lanes, ready.best(out)))

    return attempt(Row(GROUP, way.name, way.summary, lanes_whole=work.lanes), fill)


def frame_of(measured: Sequence[Row]) -> pd.DataFrame:
    """The points of the curve: way, lanes, lane-steps a second."""
    points = [(r.name, r.lanes, r.lane_steps_per_second) for r in measured if r.group == GROUP and r.measured]
    return pd.DataFrame(points, columns=["way", "lanes", "lane_steps_per_second"])


LABELS = {"numpy": "NumPy", ways.PLAIN: "jit(vmap(scan))"}


def label(name: str) -> str:
    """What stands beside a line."""
    return LABELS.get(name, name.removesuffix(f"-{RECORD}").replace("gdbench-", "gdbench, engine "))


def figure(measured: Sequence[Row], machine: Mapping[str, Any]) -> Any:
    """Lanes against lane-steps a second, a line a way with its name at the end, the limit in C across."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from gdbench.figures.base import Picture
    from gdbench.figures.style import RC, optimizer_style

    frame = frame_of(measured)
    with rc_context(RC):  # pyright: ignore[reportArgumentType]
        picture = Picture(figsize=(6.8, 4.2), layout="constrained")
        FigureCanvasAgg(picture)
        ax = picture.add_subplot()
        lines: Any = frame[frame["way"] != ways.LIMIT]
        styles = optimizer_style(lines["way"])
        for name, line in lines.groupby("way", sort=False):
            ax.plot(line["lanes"], line["lane_steps_per_second"], marker="o", ms=3.5, **styles[str(name)])
        ceiling = frame.loc[frame["way"] == ways.LIMIT, "lane_steps_per_second"].max()
        if ceiling == ceiling:
            ax.axhline(ceiling, color="0.35", lw=1, ls=(0, (4, 2)))
            ax.annotate(
                "limit: C by hand, all cores", (0, ceiling), (4, 3), xycoords=("axes fraction", "data"),
                textcoords="offset points", color="0.35", va="bottom",
            )  # fmt: skip
        ax.set(xscale="log", yscale="log", xlabel="lanes (descents at once)", ylabel="lane-steps per second")
        ax.grid(True, which="major", color="0.9", lw=0.6)
        ax.spines[["top", "right"]].set_visible(False)
        name_lines(ax, lines, styles)
        steps = next(r.steps for r in measured if r.group == GROUP)
        picture.suptitle(f"Gradient descent on Rosenbrock, float32, {steps} steps; {machine['cpu']}")
    picture.frames = [frame]
    picture.alt = "Lane-steps per second against the number of lanes, gradient descent on the Rosenbrock function."
    return picture


def name_lines(ax: Any, lines: Any, styles: Mapping[str, Mapping[str, Any]]) -> None:
    """The name of every line at its right end; names that would lie on each other are moved apart."""
    ends = lines.sort_values("lanes").groupby("way").last().sort_values("lane_steps_per_second")
    low, high = (math.log10(v) for v in ax.get_ylim())
    apart, at = 0.055 * (high - low), -math.inf
    for name, end in ends.iterrows():
        at = max(math.log10(end["lane_steps_per_second"]), at + apart)
        ax.annotate(
            label(str(name)), (1.0, 10**at), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            color=styles[str(name)]["color"], va="center", annotation_clip=False,
        )  # fmt: skip
