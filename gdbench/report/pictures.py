"""Draws every figure that has something to say, saves it beside the report, and puts it into the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path

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


def sections(results: Results, folder: Path) -> list[Section]:
    """Draw all figures of the catalogue into ``folder/figures``, in the order of their numbers.

    A figure that fails does not take the report with it: its error stands where it would have been.
    """
    room, found = ROOM, []
    for figure in sorted(gather("gdbench.figures", Figure).values(), key=lambda figure: figure.number):
        section = Section(figure.name, figure.number, figure.question, figure.caption)
        room = draw(figure, results, folder, section, room)
        if section.drawn or section.errors:
            found.append(section)
    return found


def draw(figure: Figure, results: Results, folder: Path, section: Section, room: int) -> int:
    """Draw one figure's pictures into its section; returns the octets that are left in the page."""
    try:
        parts = pictures(figure, results)
    except Exception as error:  # any fault of one figure is reported in its place
        section.errors.append(f"{type(error).__name__}: {error}")
        return room
    for stem, cases in parts.items():
        try:
            picture = render(figure, results, cases)
            paths = save(picture, folder / "figures", stem)
        except Exception as error:  # as above
            section.errors.append(f"{stem}: {type(error).__name__}: {error}")
            continue
        uri, used = embed(paths, room)
        room -= used
        title = picture.frames[0].attrs.get("heading", stem)
        files = {kind: f"figures/{path.name}" for kind, path in paths.items()}
        width = round(picture.get_figwidth() * PIXELS)
        section.drawn.append(Drawn(title, picture.alt or figure.question, files, uri, width))
    return room


def embed(paths: dict[str, Path], room: int) -> tuple[str | None, int]:
    """A picture as a data: URI, SVG where that is the smaller file, and its octets; None when it does not fit."""
    kind = min(MIME, key=lambda kind: paths[kind].stat().st_size)
    octets = paths[kind].read_bytes()
    if len(octets) > room:
        return None, 0
    return f"data:{MIME[kind]};base64,{base64.b64encode(octets).decode('ascii')}", len(octets)
