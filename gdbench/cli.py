"""The command line: each command a few lines over the public face. Only what runs descents imports JAX.

Exit codes: 0 done (divergence is data), 1 some cells failed or a rule of --fail-on is broken, 2 usage or suite error,
3 internal error, 5 nothing selected, 130 interrupted.
"""

from __future__ import annotations

import shlex
import sys
import traceback
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from gdbench import __version__, terminal
from gdbench.errors import GdbenchError, SuiteError

app = typer.Typer(
    name="gdbench",
    help="Where does an optimizer converge, how fast, and when does it break?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

JSON = Annotated[bool, typer.Option("--json", help="print exactly one JSON document")]
CODE = Annotated[bool, typer.Option("--allow-code", help="let names package.module:attribute import your code")]
SUITE = Annotated[str, typer.Argument(help="a suite file, or its name under suites/")]
RUN = Annotated[str, typer.Argument(help="a run folder, the folder of a suite's runs, or the suite's name")]


class Kind(StrEnum):
    """What can be listed."""

    problems = "problems"
    transforms = "transforms"
    optimizers = "optimizers"
    schedules = "schedules"
    measures = "measures"
    rules = "rules"
    figures = "figures"
    suites = "suites"


class Format(StrEnum):
    """What a report can be written as; the files are named in gdbench.report.FORMATS."""

    html = "html"
    md = "md"
    latex = "latex"
    csv = "csv"
    parquet = "parquet"


def _version(asked: bool) -> None:
    if asked:
        print(f"gdbench {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Options of every command."""


def suite_path(name: str) -> Path:
    """A suite file from its path, or from its name under suites/."""
    path = Path(name)
    short = Path("suites") / f"{name}.toml"
    return short if not path.exists() and path.suffix == "" and short.exists() else path


def run_path(name: str) -> Path:
    """A run folder from its path, or from the name of its suite."""
    path = Path(name)
    if path.is_dir():
        return path
    return Path("results") / (path.stem if path.suffix == ".toml" else path.name)


_BOTH = "problems and optimizers"


def _filter(name: str, text: str, of: str = "problems", **rules: Any) -> Any:
    return typer.Option(name, help=text, rich_help_panel=f"Filters ({of} only, combined by and)", **rules)


@app.command("list")
def list_(
    kind: Annotated[Kind, typer.Argument(help="the catalogue")],
    dim: Annotated[int | None, _filter("--dim", "can have this dimension", min=1)] = None,
    convex: Annotated[bool | None, _filter("--convex/--not-convex", "known to be convex, or known not to be")] = None,
    known_minimum: Annotated[bool | None, _filter("--known-minimum/--no-known-minimum", "the minimum is known")] = None,
    stochastic: Annotated[bool | None, _filter("--stochastic/--deterministic", "a step sees a mini-batch")] = None,
    separable: Annotated[bool | None, _filter("--separable/--not-separable", "a sum over single coordinates")] = None,
    family: Annotated[
        str | None, _filter("--family", "problems of this file or folder, optimizers of this family", _BOTH)
    ] = None,
    needs: Annotated[
        str | None, _filter("--needs", "need this of a problem: residuals, minimum, full batch, nothing", "optimizers")
    ] = None,
    as_json: JSON = False,
) -> None:
    """List a catalogue."""
    from gdbench import listing

    wanted = listing.Selection(dim, convex, known_minimum, stochastic, separable, family)
    asked = [*wanted.asked, *(["needs"] if needs is not None else [])]
    for name in asked:
        serves = {"family": _BOTH, "needs": "optimizers"}.get(name, "problems")
        if kind.value not in serves:
            raise GdbenchError(f"filters such as --{name.replace('_', '-')} select {serves} only: leave it out")
    header, rows = listing.listed(kind.value, wanted, needs)
    if as_json:
        terminal.print_json(rows)
    else:
        terminal.print_table(header, [[listing.cell(row, name) for name in header] for row in rows], cut=True)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="a problem, optimizer, schedule, measure, figure or suite")],
    settings: Annotated[list[str] | None, typer.Argument(help="settings of a problem, as dim=10")] = None,
    picture: Annotated[Path | None, typer.Option(help="draw a problem of one or two dimensions into this file")] = None,
    allow_code: CODE = False,
    as_json: JSON = False,
) -> None:
    """Show everything that is known of one entry of a catalogue; of a problem, its measured scales too."""
    from gdbench import facts, listing

    told, problem = listing.show(name, settings or [], allow_code)
    if picture is not None:
        from gdbench.picture import save_picture

        if problem is None:
            raise GdbenchError(f"only problems have a picture, and {name!r} is of the kind {told['kind']}")
        told["picture"] = str(save_picture(problem, picture))
    if as_json:
        terminal.print_json(told)
        return
    lines = listing.sheet(told) if problem is None else facts.sheet(told)
    width = max(len(key) for key in lines)
    for key, shown in lines.items():
        print(f"{key.ljust(width)}  " + ("\n" + " " * (width + 2)).join(shown))


@app.command()
def validate(
    suites: Annotated[list[str], typer.Argument(help="suite files")], allow_code: CODE = False, as_json: JSON = False
) -> None:
    """Check suite files; every fault is named with its place."""
    from gdbench.suite import read_suite, size_of

    faults: list[str] = []
    good = []
    for name in suites:
        try:
            cells, descents = size_of(read_suite(suite_path(name), allow_code=allow_code))
            good.append({"suite": str(suite_path(name)), "cells": cells, "descents": descents})
        except SuiteError as error:
            faults += error.problems
    if faults:
        raise SuiteError(faults)
    if as_json:
        terminal.print_json({"ok": True, "suites": good})
    else:
        for line in good:
            print(f"{line['suite']}: good, {line['cells']} cells, {line['descents']:,} descents")


@app.command()
def run(
    suite: SUITE,
    add: Annotated[list[str] | None, typer.Option(help="a further optimizer for every experiment (repeat)")] = None,
    problems: Annotated[list[str] | None, typer.Option(help="only this problem (repeat)")] = None,
    optimizers: Annotated[list[str] | None, typer.Option(help="only this optimizer (repeat)")] = None,
    devices: Annotated[int | None, typer.Option(min=1, help="use at most so many devices")] = None,
    timeout: Annotated[float, typer.Option(min=0, help="seconds a cell may take")] = float("inf"),
    quick: Annotated[bool, typer.Option("--quick", help="a thinned grid, in a folder of its own")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would run, and what it would cost")] = False,
    report: Annotated[bool, typer.Option(help="write the report at the end")] = True,
    results: Annotated[Path, typer.Option(help="folder of all runs")] = Path("results"),
    tile: Annotated[int | None, typer.Option(min=1, help="blocks a dispatch; changes nothing but speed")] = None,
    engine: Annotated[str, typer.Option(help="auto, scan, lanes, native or fused; rounding may differ")] = "auto",
    allow_code: CODE = False,
    as_json: JSON = False,
) -> None:
    """Run a suite; what is there already is not run again."""
    from gdbench.suite import read_suite

    read = read_suite(
        suite_path(suite), allow_code=allow_code, problems=problems or (), optimizers=optimizers or (), add=add or (),
        quick=quick,
    )  # fmt: skip
    from gdbench import commands

    if dry_run:
        commands.dry_run(read, devices, engine, results, as_json)
        return
    raise typer.Exit(commands.run(read, devices, timeout, tile, engine, results, report, as_json))


@app.command()
def status(run: RUN, as_json: JSON = False) -> None:
    """Say what of a run is done."""
    from gdbench import commands, results

    raise typer.Exit(commands.status(results.load(run_path(run)), as_json))


@app.command()
def claims(run: RUN, as_json: JSON = False) -> None:
    """Weigh what the suite of a run claims: the numbers that decide, and a verdict by rule."""
    from gdbench import commands, results

    commands.claims(results.load(run_path(run)), as_json)


@app.command()
def report(
    run: RUN,
    out: Annotated[Path | None, typer.Option(help="folder to write to; the run's own by default")] = None,
    formats: Annotated[list[Format] | None, typer.Option("--format", help="only this one (repeat)")] = None,
    as_json: JSON = False,
) -> None:
    """Write the report of a run: one HTML page that opens offline, its figures, and the answers in other formats."""
    from gdbench.report import write_report
    from gdbench.results import load

    page = write_report(load(run_path(run)), out, tuple(f.value for f in formats or Format))
    if as_json:
        terminal.print_json({"report": str(page)})
    else:
        print(page)


@app.command("map")
def full_map(
    run: RUN,
    out: Annotated[Path, typer.Option(help="PNG file to write")],
    x: Annotated[str, typer.Option(help="horizontal axis")] = "learning_rate",
    y: Annotated[str, typer.Option(help="vertical axis, upwards")] = "start",
    cell: Annotated[str | None, typer.Option(help="id of the cell, where several have both axes")] = None,
    as_json: JSON = False,
) -> None:
    """Write the region map of a cell with a pixel for every point of its grid, however large it is."""
    from gdbench.face import load

    path = load(run_path(run)).full_map(out, x, y, cell)
    if as_json:
        terminal.print_json({"map": str(path)})
    else:
        print(path)


@app.command()
def export(
    run: RUN,
    out: Annotated[Path, typer.Option(help="folder to write to")],
    setting: Annotated[
        str, typer.Option(help="best (for each problem) or default, as in the report, or name=value,name=value")
    ] = "best",
    optimizers: Annotated[list[str] | None, typer.Option(help="only this optimizer (repeat)")] = None,
    gradient: Annotated[
        str, typer.Option(help="what a gradient costs, in evaluations of f: a number, or dimension")
    ] = "1",
    as_json: JSON = False,
) -> None:
    """Write a run of BBOB functions in COCO's data format, for its postprocessing: python -m cocopp FOLDER/*."""
    from gdbench import commands
    from gdbench.results import load

    commands.export(load(run_path(run)), out, setting, optimizers or (), gradient, as_json)


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(help="runs: the first is what the others are compared with")],
    fail_on: Annotated[
        list[str] | None,
        typer.Option(help="exit with 1 where a whole interval lies beyond: cost>1.1, converged<-0.05, gap>2 (repeat)"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for comparison.html, .md and .csv")] = None,
    as_json: JSON = False,
) -> None:
    """Compare runs: what differs between them, then every optimizer and problem in common, pair by pair."""
    from gdbench import commands
    from gdbench.results import load

    raise typer.Exit(commands.compare([load(run_path(run)) for run in runs], fail_on or (), out, as_json))


@app.command()
def check(as_json: JSON = False) -> None:
    """Measure what theory knows exactly, and print measured against exact."""
    from gdbench import check as checks

    rows = checks.run_checks()
    if as_json:
        terminal.print_json(rows)
    else:
        terminal.print_table(checks.HEADER, [[str(row[name]) for name in checks.HEADER] for row in rows])
    failed = sum(not row["holds"] for row in rows)
    terminal.say(f"{len(rows) - failed} of {len(rows)} checks hold")
    raise typer.Exit(1 if failed else 0)


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="less of everything: about a minute")] = False,
    only: Annotated[list[str] | None, typer.Option(help="only this row or group of rows (repeat)")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file to write; by default results/bench/<time>.json")] = None,
    as_json: JSON = False,
) -> None:
    """Measure throughput against torch, optax, NumPy, plain JAX and a limit in C, on this machine."""
    from gdbench.bench import command

    raise typer.Exit(command.run(quick, as_json, out, only or ()))


@app.command()
def doctor(
    engines: Annotated[bool, typer.Option("--engines", help="what each engine takes, and why not")] = False,
    as_json: JSON = False,
) -> None:
    """Say what gdbench runs on: versions, devices, cache, and whether a small program compiles."""
    from gdbench import commands

    (commands.engines if engines else commands.doctor)(as_json)


@app.command()
def schema() -> None:
    """Print the JSON schema of suite files."""
    from gdbench.forms import json_schema

    terminal.print_json(json_schema())


INTERRUPTED = 130


def _fail(message: str, code: int) -> int:
    """Print an error, as a line or as the one JSON document, and give the exit code."""
    if "--json" in sys.argv[1:]:
        terminal.print_json({"error": message, "exit_code": code})
    for line in message.splitlines():
        terminal.say(f"gdbench: error: {line}")
    return code


def main() -> None:
    """Run the command line and exit with its code."""
    usage_error: Any = typer.BadParameter.__mro__[1]
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:  # how typer passes on a Ctrl-C
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        again = shlex.join(["gdbench", *sys.argv[1:]])
        code = _fail(f"interrupted: what is done is kept, go on with: {again}", INTERRUPTED)
    except GdbenchError as error:
        code = _fail(str(error), error.exit_code)
    except usage_error as error:
        code = _fail(" ".join(error.format_message().split()), 2)
    except SystemExit as stop:
        # typer exits with 1 when the reader of stdout went away (head, say), and muffles stdout: that is no failure.
        code = 0 if type(sys.stdout).__name__ == "PacifyFlushWrapper" else stop.code
    except Exception as error:  # a fault of gdbench itself
        traceback.print_exc()
        code = _fail(f"internal error: {type(error).__name__}: {error}", 3)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
