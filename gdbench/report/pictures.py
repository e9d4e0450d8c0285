"""Draws every figure that has something to say, saves it beside the report, and puts it into the page."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import os
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pandas import DataFrame
from PIL import Image, features

from gdbench.catalogue import gather
from gdbench.figures.base import Figure, Picture, pictures, render, save, shown_in
from gdbench.figures.choose import cell_of
from gdbench.report.charts import convergence_panels, learning_rate_panels
from gdbench.report.maps import Panel, Shown, basin_panels, region_panels
from gdbench.report.paths import ground, stage, stored_paths
from gdbench.report.study import Results

STILL_ROOM = 2_600_000
"""Characters of still pictures that one page holds; of the rest it holds the links."""

LIVE_ROOM = 1_700_000
"""Characters of numbers that one page holds for its canvases and charts; what is beyond is shown as a still picture."""

SMALL = 24_000
"""Characters of a file, packed, up to which a page offers it from its own inside too."""

LARGE = 90_000
"""The same of a picture's SVG of which the page draws it, so that the filter acts inside of it."""

INSIDE_ROOM = 600_000
"""Characters of such SVGs that one page holds; what is beyond is shown as a still picture."""

PIXELS = 96
"""CSS pixels an inch."""

LIVE: dict[str, Callable[[Results, Shown], list[Panel]]] = {
    "region-map": region_panels, "basins": basin_panels, "learning-rate": learning_rate_panels,
    "convergence": convergence_panels,
}  # fmt: skip
"""Figures that the page draws itself from their numbers; their pictures are for readers without scripts."""


@dataclass(frozen=True)
class Drawn:
    """One picture of a figure.

    Attributes:
        stem: its name among the run's pictures.
        title: experiment, problem and dtype.
        alt: one sentence for readers who cannot see it.
        files: paths relative to the report, by "png", "svg" and "csv".
        uri: the picture itself as a data: URI; None when the page is full.
        width: CSS pixels, so that letters are as large in every picture that fits.
        about: experiments, problems and optimizers that it shows, for the filters; an empty list for all of them.
        panels: what the page draws itself (``maps.panel``); empty where it shows the picture.
        packed: small files, deflated, by the kinds of ``files``.
        inside: whether the page draws it from its packed SVG: it shows several optimizers and has no ``panels``.
        paths: stored paths by cell, with ``stage``, what surrounds the canvas that they are played on.
        grounds: what paths are drawn on, by name of the surface.
    """

    stem: str
    title: str
    alt: str
    files: dict[str, str]
    uri: str | None
    width: int
    about: dict[str, list[str]]
    panels: list[dict[str, Any]]
    packed: dict[str, str]
    inside: bool
    paths: dict[str, Any]
    grounds: dict[str, Any]
    stage: dict[str, Any] | None


@dataclass(frozen=True)
class Section:
    """A figure with its pictures; ``errors`` says what could not be drawn."""

    name: str
    number: int
    question: str
    caption: str
    drawn: list[Drawn] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Job:
    """One picture to draw: figure, file stem, and the cases that are its panels."""

    figure: str
    stem: str
    cases: list[dict[str, Any]]


class Room:
    """What is left of a page's room."""

    def __init__(self, characters: int) -> None:
        self.left = characters

    def takes(self, *parts: Any) -> bool:
        """Whether these still fit; if so, they are in."""
        size = sum(len(part if isinstance(part, str) else json.dumps(part)) for part in parts)
        fits = size <= self.left
        self.left -= size if fits else 0
        return fits


@dataclass(frozen=True)
class Rooms:
    """What is left of a page's room for each kind of thing; ``known`` are the cells whose paths it has."""

    still: Room = field(default_factory=lambda: Room(STILL_ROOM))
    live: Room = field(default_factory=lambda: Room(LIVE_ROOM))
    inside: Room = field(default_factory=lambda: Room(INSIDE_ROOM))
    known: set[str] = field(default_factory=set)


def sections(results: Results, folder: Path) -> list[Section]:
    """Draw all figures of the catalogue into ``folder/figures``, in the order of their numbers.

    A figure that fails does not take the report with it: its error stands where it would have been.
    """
    found, jobs = [], []
    chosen = results.suite["suite"].get("figures")
    for figure in sorted(gather("gdbench.figures", Figure).values(), key=lambda figure: figure.number):
        if chosen and figure.name not in chosen:
            continue
        wanted = chosen[figure.name] if chosen else []
        section = Section(figure.name, figure.number, figure.question, figure.caption)
        try:
            made = [Job(figure.name, stem, cases) for stem, cases in pictures(figure, results).items()]
            jobs += [job for job in made if not wanted or experiments_of(results, job.cases) & {*wanted}]
        except Exception as error:  # any fault of one figure is reported in its place
            section.errors.append(f"{type(error).__name__}: {error}")
        found.append(section)
    by_name, room = {section.name: section for section in found}, Rooms()
    for job, told in zip(jobs, draw_all(results, folder, jobs), strict=True):
        section = by_name[job.figure]
        if "error" in told:
            section.errors.append(f"{job.stem}: {told['error']}")
        else:
            section.drawn.append(_fitted(job.stem, told, room))
    return [section for section in found if section.drawn or section.errors]


def _fitted(stem: str, told: dict[str, Any], room: Rooms) -> Drawn:
    """A picture with as much of it as the page has room for."""
    panels = told.pop("panels")
    if not room.live.takes(panels):
        panels = []
    paths = {cell: entry for cell, entry in told.pop("paths").items() if panels and cell not in room.known}
    grounds = told.pop("grounds")
    if not room.live.takes(paths, grounds):
        paths = {}
    room.known.update(paths)
    uri, packed = told.pop("uri"), told.pop("packed")
    several = len(told["about"]["optimizers"]) > 1
    inside = several and not panels and "svg" in packed and room.inside.takes(packed["svg"])
    kept = {
        kind: text for kind, text in packed.items()
        if (inside and kind == "svg") or (len(text) <= SMALL and room.live.takes(text))
    }  # fmt: skip
    return Drawn(
        stem=stem, panels=panels, paths=paths, grounds=grounds if paths else {}, packed=kept, inside=inside,
        uri=uri if room.still.takes(uri) else None, **told,
    )  # fmt: skip


FEW = 8
"""Pictures that one process draws sooner than two could start."""

MOST_WORKERS = 4


def draw_all(results: Results, folder: Path, jobs: list[Job]) -> list[dict[str, Any]]:
    """Draw pictures, on several cores where there are many of them; what ``draw`` says of each, in their order.

    The other processes are plain ones that read the run from its folder: they need no care in the caller's script.
    """
    from gdbench.results import Results as Stored

    helpers = min(MOST_WORKERS, os.cpu_count() or 1) - 1
    if helpers < 1 or len(jobs) < FEW or not isinstance(results, Stored) or results.path is None:
        return [draw(results, folder, job) for job in jobs]
    shares = [list(range(i, len(jobs), helpers + 1)) for i in range(helpers + 1)]
    started = [_start(results.path, folder, [jobs[i] for i in share]) for share in shares[1:]]
    told: dict[int, dict[str, Any]] = {i: draw(results, folder, jobs[i]) for i in shares[0]}
    for share, process in zip(shares[1:], started, strict=True):
        out, _ = process.communicate()
        # A helper that failed as a whole leaves its share to be drawn here, where the error will show.
        said = json.loads(out) if process.returncode == 0 else [draw(results, folder, jobs[i]) for i in share]
        told |= dict(zip(share, said, strict=True))
    return [told[i] for i in range(len(jobs))]


def _start(run: Path, folder: Path, jobs: list[Job]) -> subprocess.Popen[str]:
    """A process that draws these pictures; its task goes through a file, so that it starts on it at once."""
    task = json.dumps({"run": str(run), "folder": str(folder), "jobs": [vars(job) for job in jobs]})
    with tempfile.TemporaryFile("w+") as file:
        file.write(task)
        file.seek(0)
        command = [sys.executable, "-m", "gdbench.report.pictures"]
        return subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE, text=True)


def draw(results: Results, folder: Path, job: Job) -> dict[str, Any]:
    """Draw one picture into ``folder/figures``: everything that ``Drawn`` says of it, or its error."""
    figure, shown = gather("gdbench.figures", Figure)[job.figure], []

    def data(results: Results, **case: Any) -> DataFrame:
        frame = figure.data(results, **case)
        shown.extend([(case, frame)] if len(frame) else [])
        return frame

    try:
        picture = render(dataclasses.replace(figure, data=data), results, job.cases)
        paths = save(picture, folder / "figures", job.stem)
        panels = LIVE[job.figure](results, shown) if job.figure in LIVE else []
        played = _played(results, {panel["data"]["cell"] for panel in panels if "cell" in panel["data"]})
    except Exception as error:  # any fault of one picture is reported in its place
        return {"error": f"{type(error).__name__}: {error}"}
    return {
        "title": picture.frames[0].attrs.get("heading", job.stem), "alt": picture.alt or figure.question,
        "files": {kind: f"figures/{path.name}" for kind, path in paths.items()}, "uri": embed(paths),
        "packed": packed(paths), "width": round(picture.get_figwidth() * PIXELS),
        "about": about(results, job.cases, picture), "panels": panels, **played,
    }  # fmt: skip


def _played(results: Results, cells: Iterable[str]) -> dict[str, Any]:
    """The stored paths of cells of one problem, and what they are drawn on."""
    found: dict[str, Any] = {"paths": {}, "grounds": {}, "stage": None}
    for cell in (cell_of(results, identity) for identity in sorted(cells)):
        told = stored_paths(results, cell)
        if told is None:
            continue
        found["paths"][cell["id"]] = told
        if told["ground"] not in found["grounds"] and (surface := ground(results, cell)):
            found["grounds"][told["ground"]] = surface
        found["stage"] = found["stage"] or stage(results, cell, told)
    return found


def experiments_of(results: Results, cases: list[dict[str, Any]]) -> set[str]:
    """The experiments of a picture's cases; empty where they do not tell."""
    named = {case["experiment"] for case in cases if "experiment" in case}
    named |= {name for case in cases for name in case.get("experiments", ())}
    return named | {cell_of(results, case["cell"])["experiment"] for case in cases if "cell" in case}


def about(results: Results, cases: list[dict[str, Any]], picture: Picture) -> dict[str, list[str]]:
    """Experiments, problems and optimizers that a picture shows; empty where its cases do not tell."""
    cells = [cell_of(results, case["cell"]) for case in cases if "cell" in case]
    told = {
        "experiments": sorted(experiments_of(results, cases)),
        "problems": [cell["problem"]["label"] for cell in cells] + [c["problem"] for c in cases if "problem" in c],
        "optimizers": [cell["optimizer"]["label"] for cell in cells],
    }
    known = {cell["optimizer"]["label"] for cell in results.cells}
    named = [str(o) for f in picture.frames if "optimizer" in f for o in f["optimizer"].unique()]
    told["optimizers"] += [label for label in named if label in known]
    told["optimizers"] += shown_in(picture)
    # A picture over dimensions is about each of them: every one has a label of its own.
    told["problems"] += [label for frame in picture.frames for label in frame.attrs.get("labels", ())]
    return {name: list(dict.fromkeys(values)) for name, values in told.items()}


def main() -> None:
    """Draw the pictures that another process asks for on stdin, and say what became of them on stdout."""
    from gdbench.results import load

    task = json.load(sys.stdin)
    results = load(task["run"])
    print(json.dumps([draw(results, Path(task["folder"]), Job(**job)) for job in task["jobs"]]))


def embed(paths: dict[str, Path]) -> str:
    """A picture as a data: URI: SVG where that is the smaller one, else its pixels as they are in lossless WebP."""
    kind, octets = "png", paths["png"].read_bytes()
    if features.check("webp"):
        out = io.BytesIO()
        Image.open(paths["png"]).convert("RGB").save(out, "WEBP", lossless=True, method=1, quality=20)
        kind, octets = "webp", out.getvalue()
    if paths["svg"].stat().st_size < len(octets):
        kind, octets = "svg+xml", paths["svg"].read_bytes()
    return f"data:image/{kind};base64,{base64.b64encode(octets).decode('ascii')}"


def packed(paths: dict[str, Path]) -> dict[str, str]:
    """The numbers and the drawing of a picture, deflated, where they are small: a page alone can hand them out."""
    found = {}
    for kind, most in (("csv", SMALL), ("svg", LARGE)):
        squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
        text = base64.b64encode(squeeze.compress(paths[kind].read_bytes()) + squeeze.flush()).decode("ascii")
        if len(text) <= most:
            found[kind] = text
    return found


if __name__ == "__main__":
    main()
