"""What the command line writes: results to stdout, progress and log to stderr."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from typing import Any


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(document, indent=1, default=str, allow_nan=False))


LEAST_ROOM = 24
"""Characters of the last column that are kept on a terminal, however narrow."""


def print_table(header: Sequence[str], rows: Sequence[Sequence[Any]], cut: bool = False) -> None:
    """Aligned columns on stdout; the last one is not padded, and on a terminal it may be cut to the room left."""
    cells = [[str(v) for v in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    if cut and sys.stdout.isatty():
        left = shutil.get_terminal_size().columns - sum(widths[:-1]) - 2 * (len(widths) - 1)
        widths[-1] = min(widths[-1], max(left, LEAST_ROOM))
        cells = [[*row[:-1], textwrap.shorten(row[-1], widths[-1], placeholder=" …")] for row in cells]
    for n, row in enumerate(cells):
        print("  ".join(v.ljust(w) for v, w in zip(row, [*widths[:-1], 0], strict=True)).rstrip())
        if n == 0:
            print("  ".join("-" * w for w in widths))


WIDE = 160
"""Characters a line of wrapped tables where stdout is no terminal."""


def print_wrapped(header: Sequence[str], rows: Sequence[Sequence[Any]], widths: Sequence[int]) -> None:
    """A table on stdout whose cells are sentences: each column wraps, in rooms of these proportions."""
    room = (shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE) - 2 * (len(header) - 1)
    each = [max(6, room * width // sum(widths)) for width in widths]
    for n, row in enumerate([header, ["-" * width for width in each], *rows]):
        lines = [textwrap.wrap(str(cell), width) or [""] for cell, width in zip(row, each, strict=True)]
        for i in range(max(map(len, lines))):
            parts = [(cell[i] if i < len(cell) else "").ljust(width) for cell, width in zip(lines, each, strict=True)]
            print("  ".join(parts).rstrip())
        if n > 1:
            print()


def say(line: str) -> None:
    """A line of log on stderr."""
    print(line, file=sys.stderr, flush=True)


def big(number: float) -> str:
    """A large number for people: 1,234 or 12.3 M."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if number >= limit:
            return f"{number / limit:.3g} {unit}"
    return f"{number:,.0f}"


class Lines:
    """Progress as plain lines, for what is no terminal: one when a cell is compiled, one every ten seconds."""

    def __init__(self) -> None:
        self._done = self._total = self._cells = self._compiled = 0
        self._began = self._told = time.monotonic()

    def begin(self, cells: int, descents: int) -> None:
        """The run starts."""
        self._cells, self._total = cells, descents
        if descents:
            say(f"{cells} cells, {descents:,} descents to run")

    def compiling(self, label: str) -> None:
        """A compile that nothing hides is not worth a line of its own."""

    def compiled(self, label: str, seconds: float) -> None:
        """A cell is compiled."""
        self._compiled += 1
        say(f"[{self._compiled}/{self._cells}] {label} (compiled in {seconds:.1f} s)")

    def advance(self, descents: int) -> None:
        """So many more descents are done."""
        self._done += descents
        now = time.monotonic()
        if now - self._told > 10:
            self._told = now
            say(f"{self._done:,} of {self._total:,} descents, {big(self._done / (now - self._began))} a second")

    def warn(self, line: str) -> None:
        """Something that the user should know."""
        say(f"gdbench: {line}")

    def close(self) -> None:
        """The run is over."""


class Bar:
    """Progress as a bar: descents done, rate, time left, and the seconds of compilation apart."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[done]}"),
            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), TextColumn("{task.fields[compile]}"),
            console=Console(stderr=True),
        )  # fmt: skip
        self._task: Any = None
        self._compile = 0.0
        self._done = self._total = 0
        self._began = time.monotonic()

    def begin(self, cells: int, descents: int) -> None:
        """The run starts."""
        self._total = descents
        if descents:
            self._task = self._bar.add_task("starting", total=descents, done="", rate="", compile="")
            self._bar.start()

    def compiling(self, label: str) -> None:
        """Nothing runs until this cell is compiled."""
        self._bar.update(self._task, description=f"compiling {label}")

    def compiled(self, label: str, seconds: float) -> None:
        """A cell is compiled."""
        self._compile += seconds
        self._bar.update(self._task, description=label, compile=f"compile {self._compile:.1f} s")

    def advance(self, descents: int) -> None:
        """So many more descents are done."""
        self._done += descents
        rate = self._done / max(1e-9, time.monotonic() - self._began)
        self._bar.update(
            self._task, advance=descents, done=f"{big(self._done)}/{big(self._total)}", rate=f"{big(rate)}/s"
        )

    def warn(self, line: str) -> None:
        """Something that the user should know."""
        self._bar.console.print(f"gdbench: {line}", markup=False, highlight=False)

    def close(self) -> None:
        """The run is over."""
        self._bar.stop()


def progress(quiet: bool) -> Any:
    """A bar on a terminal, lines elsewhere; lines without JAX's help either way."""
    return Bar() if sys.stderr.isatty() and not quiet else Lines()
