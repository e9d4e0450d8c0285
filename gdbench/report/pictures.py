"""Draws every figure that has something to say, saves it beside the report, and puts it into the page."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gdbench.catalogue import gather
from gdbench.figures.base import Figure, pictures, render, save
from gdbench.report.study import Results

ROOM = 3_300_000
"""Octets of pictures that one page holds (a third more as base64, so the page stays under 5 MB); the rest is linked."""

PIXELS = 96
"""CSS pixels an inch."""

MIME = {"png": "image/png", "svg": "image/svg+xml"}


@dataclass(frozen=True)
class Drawn:
    """One picture of a figure.

    Attributes:
        title: experiment, problem and dtype.
        alt: one sentence for readers who cannot see it.
        files: paths relative to the report, by "png", "svg" and "csv".
        uri: the picture itself as a data: URI; None when the page is full.
        width: CSS pixels, so that letters are as large in every picture that fits.
    """

    title: str
    alt: str
    files: dict[str, str]
    uri: str | None
    width: int


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


def sections(results: Results, folder: Path) -> list[Section]:
    """Draw all figures of the catalogue into ``folder/figures``, in the order of their numbers.

    A figure that fails does not take the report with it: its error stands where it would have been.
    """
    found, jobs = [], []
    for figure in sorted(gather("gdbench.figures", Figure).values(), key=lambda figure: figure.number):
        section = Section(figure.name, figure.number, figure.question, figure.caption)
        try:
            jobs += [Job(figure.name, stem, cases) for stem, cases in pictures(figure, results).items()]
        except Exception as error:  # any fault of one figure is reported in its place
            section.errors.append(f"{type(error).__name__}: {error}")
        found.append(section)
    by_name, room = {section.name: section for section in found}, ROOM
    for job, told in zip(jobs, draw_all(results, folder, jobs), strict=True):
        section = by_name[job.figure]
        if "error" in told:
            section.errors.append(f"{job.stem}: {told['error']}")
            continue
        uri, used = embed({kind: folder / name for kind, name in told["files"].items()}, room)
        room -= used
        section.drawn.append(Drawn(told["title"], told["alt"], told["files"], uri, told["width"]))
    return [section for section in found if section.drawn or section.errors]


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
    """Draw one picture into ``folder/figures``: title, alt text, files and width, or its error."""
    figure = gather("gdbench.figures", Figure)[job.figure]
    try:
        picture = render(figure, results, job.cases)
        paths = save(picture, folder / "figures", job.stem)
    except Exception as error:  # any fault of one picture is reported in its place
        return {"error": f"{type(error).__name__}: {error}"}
    return {
        "title": picture.frames[0].attrs.get("heading", job.stem), "alt": picture.alt or figure.question,
        "files": {kind: f"figures/{path.name}" for kind, path in paths.items()},
        "width": round(picture.get_figwidth() * PIXELS),
    }  # fmt: skip


def main() -> None:
    """Draw the pictures that another process asks for on stdin, and say what became of them on stdout."""
    from gdbench.results import load

    task = json.load(sys.stdin)
    results = load(task["run"])
    print(json.dumps([draw(results, Path(task["folder"]), Job(**job)) for job in task["jobs"]]))


def embed(paths: dict[str, Path], room: int) -> tuple[str | None, int]:
    """A picture as a data: URI, SVG where that is the smaller file, and its octets; None when it does not fit."""
    kind = min(MIME, key=lambda kind: paths[kind].stat().st_size)
    octets = paths[kind].read_bytes()
    if len(octets) > room:
        return None, 0
    return f"data:{MIME[kind]};base64,{base64.b64encode(octets).decode('ascii')}", len(octets)


if __name__ == "__main__":
    main()
