"""The catalogues as rows, for ``gdbench list`` and ``gdbench show``. Imports no JAX."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gdbench.catalogue import gather, look_up
from gdbench.contracts import Optimizer, Problem, ProblemFamily
from gdbench.errors import SuiteError, UnknownNameError, did_you_mean
from gdbench.figures.base import Figure
from gdbench.measures.base import Measure

Rows = tuple[list[str], list[dict[str, Any]]]


def problems() -> Rows:
    """Every problem family."""
    rows = [
        {"name": f.name, "settings": dict(f.settings), "parameters": dict(f.parameters), "summary": f.summary}
        for f in gather("gdbench.problems", ProblemFamily).values()
    ]
    return ["name", "settings", "parameters", "summary"], rows


def optimizers() -> Rows:
    """Every optimizer."""
    rows = [
        {
            "name": o.name, "family": o.family,
            "hyperparameters": {n: h.default for n, h in o.hyperparameters.items() if not h.static},
            "static": {n: h.default for n, h in o.hyperparameters.items() if h.static},
            "origin": {n: h.origin for n, h in o.hyperparameters.items()},
            "theory": o.theory if isinstance(o.theory, str) else None, "notes": o.notes,
        }
        for o in gather("gdbench.optimizers", Optimizer).values()
    ]  # fmt: skip
    return ["name", "family", "hyperparameters", "notes"], rows


def measures() -> Rows:
    """Every measure."""
    rows = [
        {"name": m.name, "unit": m.unit, "better": m.better, "summary": m.summary}
        for m in gather("gdbench.measures", Measure).values()
    ]
    return ["name", "unit", "better", "summary"], rows


def figures() -> Rows:
    """Every figure, by its number."""
    found = sorted(gather("gdbench.figures", Figure).values(), key=lambda f: f.number)
    return ["number", "name", "question"], [{"number": f.number, "name": f.name, "question": f.question} for f in found]


def suites() -> Rows:
    """Every suite file under suites/."""
    rows = []
    for path in sorted(Path("suites").glob("*.toml")):
        try:
            told = tomllib.loads(path.read_text(encoding="utf-8")).get("suite", {})
        except (OSError, tomllib.TOMLDecodeError) as error:
            told = {"description": f"cannot be read: {error}"}
        rows.append({"name": path.stem, "file": str(path), "summary": " ".join(told.get("description", "").split())})
    return ["name", "file", "summary"], rows


LISTS: dict[str, Callable[[], Rows]] = {
    "problems": problems, "optimizers": optimizers, "measures": measures, "figures": figures, "suites": suites,
}  # fmt: skip


def short(value: Any) -> str:
    """A value for a cell of a table: settings as name=value."""
    if isinstance(value, Mapping):
        return " ".join(f"{k}={'required' if v is None and k == 'learning_rate' else v}" for k, v in value.items())
    return "" if value is None else str(value)


def long(value: Any, indent: int) -> str:
    """A value for ``show``: mappings and rows on lines of their own."""
    if isinstance(value, Mapping):
        value = [f"{k} = {json.dumps(v, default=str)}" for k, v in value.items()]
    if isinstance(value, list):
        return ("\n" + " " * indent).join(map(str, value)) if value else "none"
    return "unknown" if value is None else str(value)


def show(name: str, settings: Sequence[str]) -> dict[str, Any]:
    """Everything that is known of an entry.

    Raises:
        UnknownNameError: when no catalogue has it.
    """
    families = gather("gdbench.problems", ProblemFamily)
    if name in families:
        return _problem(families[name], dict(_setting(text) for text in settings))
    if settings:
        raise SuiteError([f"only problems take settings, and {name!r} is none: {did_you_mean(name, families)}"])
    catalogues = {kind: {str(row["name"]): row for row in make()[1]} for kind, make in LISTS.items()}
    for kind, rows in catalogues.items():
        if name in rows:
            return {"kind": kind.removesuffix("s"), **rows[name], **_more(kind, name)}
    known = [*families, *(n for rows in catalogues.values() for n in rows)]
    raise UnknownNameError(f"nothing is called {name!r}: {did_you_mean(name, known)}")


def _more(kind: str, name: str) -> dict[str, Any]:
    if kind != "optimizers":
        return {}
    optimizer = look_up(gather("gdbench.optimizers", Optimizer), name, "optimizer")
    return {"formula": optimizer.formula, "source": optimizer.source}


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise SuiteError([f"a setting is name=value, got {text!r}"])
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value


def _problem(family: ProblemFamily, settings: dict[str, Any]) -> dict[str, Any]:
    problem: Problem = family(**settings)
    facts = {f.name: getattr(problem, f.name) for f in dataclasses.fields(problem)}
    dropped = ("objective", "data", "sample", "template", "label", "curvature", "name")
    curvature = problem.curvature(problem.parameters) if problem.curvature else None
    shown = {k: _plain(v) for k, v in facts.items() if k not in dropped}
    return {
        "kind": "problem",
        "name": problem.label,
        "summary": family.summary,
        **shown,
        "curvature": _plain(curvature),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist() if value.size <= 64 else f"array of shape {value.shape}"
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return dict(value) if isinstance(value, Mapping) else value
