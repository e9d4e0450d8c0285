"""What differs between runs beside their descents: said first, for it may be the whole difference."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gdbench.report.study import Results
from gdbench.report.words import MISSING, count, listing, percent

NOT_TOLD = ("started", "command", "seed")
"""Entries of the environment that say nothing of how a descent ends (the seed stands in the suite)."""

SETTINGS = ("engine", "block", "steps", "evaluations", "window")
"""What a cell is run with."""

LONGEST = 60

Key = tuple[str, str, str, str]
"""Experiment, problem, dtype and optimizer: what makes cells of several runs the same."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same in all runs; ``values`` has a text for each."""

    part: str
    name: str
    values: tuple[str, ...]


def key_of(cell: Mapping[str, Any]) -> Key:
    """Which cell of another run is to be compared with this one."""
    return cell["experiment"], cell["problem"]["label"], cell["dtype"], cell["optimizer"]["label"]


def differences(runs: Sequence[Results]) -> list[Difference]:
    """Everything that differs: environment, suite, cells that are there in some runs only, settings of the others."""
    found = list(_differing("environment", [_environment(run) for run in runs]))
    found += _differing("suite", [_suite(run.suite) for run in runs])
    cells = [{key_of(cell): cell for cell in run.cells} for run in runs]
    found += _differing("cells", [{" · ".join(key): _state(cell) for key, cell in some.items()} for some in cells])
    for name in SETTINGS:
        found += _setting(name, cells)
    return found


def notes(runs: Sequence[Results]) -> list[str]:
    """What a reader must know of the runs before reading the tables."""
    found = []
    dirty = [name for name, run in zip(names(runs), runs, strict=True) if run.environment.get("dirty")]
    if dirty:
        found.append(f"The code of {listing(dirty)} differed from its commit.")
    keys = [{key_of(cell): cell["id"] for cell in run.cells} for run in runs]
    for name, some in list(zip(names(runs), keys, strict=True))[1:]:
        same = sum(keys[0].get(key) == identity for key, identity in some.items())
        if same:
            text = f"{count(same, 'cell')} of {name} {'has' if same == 1 else 'have'} the identity of A's: same code, "
            found.append(
                f"{text}settings and versions. gdbench stores such descents once, and then nothing can differ."
            )
    for name, run in list(zip(names(runs), runs, strict=True))[1:]:
        found += _changed_outcomes(name, runs[0], run)
    return found


def _changed_outcomes(name: str, first: Results, run: Results) -> Iterator[str]:
    """How many descents end differently in two runs, over cells with the same grid: on CPU and GPU, say.

    Rows of the same grid have the same order; cells of one identity are one and the same, and left out.
    """
    mine = {key_of(cell): cell for cell in first.cells}
    total, lost, worst = 0, 0, ("", 0.0)
    for cell in run.cells:
        other = mine.get(key_of(cell))
        if other is None or other["id"] == cell["id"] or cell["failed"] or other["failed"]:
            continue
        if (other["axes"], other["starts"]) != (cell["axes"], cell["starts"]):
            continue
        both = ((first, other), (run, cell))
        ends = [some.table(["outcome"], [of["id"]])["outcome"].astype(str) for some, of in both]
        if len(ends[0]) != len(ends[1]) or not len(ends[0]):
            continue
        differ = int((ends[0].to_numpy() != ends[1].to_numpy()).sum())
        total, lost = total + len(ends[0]), lost + differ
        worst = max(worst, (" · ".join(key_of(cell)), differ / len(ends[0])), key=lambda pair: pair[1])
    if total:
        most = f"; most: {worst[0]}, {percent(worst[1])}" if lost else ""
        share = f"{percent(lost / total)}{most}"
        yield f"{lost:,} of {count(total, 'descent')} on the same grids end differently in {name} ({share})."


def names(runs: Sequence[Any]) -> list[str]:
    """Runs by letter, in their order: A is what the others are compared with."""
    return [chr(ord("A") + i) if i < 26 else f"R{i + 1}" for i in range(len(runs))]


def _differing(part: str, tables: Sequence[Mapping[str, str]]) -> Iterator[Difference]:
    for name in dict.fromkeys(name for table in tables for name in table):
        values = tuple(table.get(name, MISSING) for table in tables)
        if len(set(values)) > 1:
            yield Difference(part, name, values)


def _environment(run: Results) -> dict[str, str]:
    told = {name: value for name, value in run.environment.items() if name not in NOT_TOLD}
    return {name.replace("_", " "): _short(value) for name, value in told.items() if value not in (None, "")}


def _suite(suite: Mapping[str, Any]) -> dict[str, str]:
    """A suite as paths and values; lists of tables go by the name or label of their entries."""
    lines: dict[str, str] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, Mapping) and value:
            for key, entry in value.items():
                if path or key != "description":
                    walk(entry, f"{path}.{key}" if path else str(key))
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) and _name(v) for v in value):
            for entry in value:
                walk({k: v for k, v in entry.items() if k not in ("name", "label")}, f"{path} {_name(entry)}")
        else:
            lines[path] = _short(value)

    walk({name: value for name, value in suite.get("suite", {}).items() if name != "description"}, "suite")
    for experiment in suite.get("experiment", []):
        walk({key: value for key, value in experiment.items() if key != "name"}, str(experiment.get("name", "")))
    return lines


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("label") or entry.get("name") or "")


def _state(cell: Mapping[str, Any]) -> str:
    return f"{'left out' if cell.get('refused') else 'failed'}: {cell['failed']}" if cell["failed"] else "there"


def _setting(name: str, cells: Sequence[Mapping[Key, Mapping[str, Any]]]) -> Iterator[Difference]:
    """One line for a setting that differs in common cells: its values in the first of them, and in how many."""
    common = [key for key in cells[0] if all(key in some for some in cells)]
    differing = [key for key in common if len({_short(some[key].get(name)) for some in cells}) > 1]
    if differing:
        values = tuple(_short(some[differing[0]].get(name)) for some in cells)
        yield Difference(
            "cells", f"{name} ({count(len(differing), 'cell')}; first: {' · '.join(differing[0])})", values
        )


def _short(value: Any) -> str:
    """A value on one line, the middle of a long list left out."""
    if isinstance(value, list) and len(value) > 4 and not any(isinstance(v, (list, dict)) for v in value):
        return f"{value[0]} … {value[-1]} ({len(value)} values)"
    text = value if isinstance(value, str) else json.dumps(value)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
