"""The catalogues as rows, for ``gdbench list`` and ``gdbench show``; only the facts of one problem need JAX."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gdbench import facts
from gdbench.catalogue import gather, look_up, natural
from gdbench.choices import problem_named, resolve_problem
from gdbench.contracts import Optimizer, Problem, ProblemFamily
from gdbench.errors import NothingSelectedError, SuiteError, UnknownNameError, did_you_mean
from gdbench.figures.base import Figure
from gdbench.measures.base import Measure
from gdbench.problems import cutest
from gdbench.transforms.base import Transform

Rows = tuple[list[str], list[dict[str, Any]]]


@dataclass(frozen=True)
class Selection:
    """Which problems to list: those for which everything holds that is not None.

    Attributes:
        dim: they can have that dimension.
        convex: they are known to be convex (or known not to be).
        known_minimum: the minimum is known.
        stochastic: a step sees a random part of the data.
        separable: they are sums of functions of one coordinate each.
        family: the file or folder of the catalogue that they stand in.
    """

    dim: int | None = None
    convex: bool | None = None
    known_minimum: bool | None = None
    stochastic: bool | None = None
    separable: bool | None = None
    family: str | None = None

    @property
    def asked(self) -> dict[str, Any]:
        """What is not None."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def admits(self, problem: Problem) -> bool:
        """Whether a built problem is one of them."""
        found = {
            "dim": problem.dim, "convex": problem.convex, "known_minimum": problem.goal == "minimum",
            "stochastic": problem.stochastic, "separable": problem.separable,
        }  # fmt: skip
        return all(found[name] == value for name, value in self.asked.items() if name in found)


ALL = Selection()


def problems(wanted: Selection = ALL) -> Rows:
    """The problem families of a selection, each built with its default settings, or in the dimension asked for.

    Raises:
        UnknownNameError: for a family that the catalogue has not.
        NothingSelectedError: when none is left.
    """
    entries = gather("gdbench.problems", ProblemFamily)
    themes = sorted({entry.theme for entry in entries.values()})
    if wanted.family is not None and wanted.family not in themes:
        if cutest.needs_extra(f"{wanted.family}/"):
            problem_named(f"{wanted.family}/")  # raises, with how to install them
        raise UnknownNameError(f"unknown family {wanted.family!r}: {did_you_mean(wanted.family, themes)}")
    found = []
    for entry in sorted(entries.values(), key=lambda entry: natural(entry.name)):
        if wanted.family in (None, entry.theme):
            problem = _built(entry, wanted.dim)
            if problem is not None and wanted.admits(problem):
                found.append(_row(entry, problem))
    if not found:
        told = " and ".join(f"{name} = {value}" for name, value in wanted.asked.items())
        raise NothingSelectedError(f"no problem has {told}: leave one of these out")
    return ["name", "family", "dim", "minimum", "tags", "summary"], found


def _built(entry: ProblemFamily, dim: int | None) -> Problem | None:
    """The problem of a family, in a dimension where one is asked for; None where it cannot have that."""
    if dim is None or "dim" not in entry.settings:
        return entry()
    try:
        return entry(dim=dim)
    except SuiteError:  # a family refuses the dimensions that it does not have
        return None


def _row(entry: ProblemFamily, problem: Problem) -> dict[str, Any]:
    head = {"name": entry.name, "family": entry.theme, "summary": entry.summary}
    return head | {"dim_is_setting": "dim" in entry.settings} | facts.facts(problem)


def cell(row: Mapping[str, Any], column: str) -> str:
    """What stands in a column of a row of a list."""
    value = row.get(column)
    if column == "dim":
        return f"n={value}" if row["dim_is_setting"] else str(value)
    if column == "minimum":
        unknown = "unknown" if row["bounded"] else "none"
        return unknown if value is None else f"{value:.6g}"
    return ", ".join(value) if column == "tags" and value is not None else short(value)


def transforms() -> Rows:
    """Every transform of problems."""
    rows = [
        {"name": t.name, "settings": dict(t.settings), "parameters": dict(t.parameters), "summary": t.summary}
        for t in gather("gdbench.transforms", Transform).values()
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
    "problems": problems, "transforms": transforms, "optimizers": optimizers, "measures": measures,
    "figures": figures, "suites": suites,
}  # fmt: skip


def short(value: Any) -> str:
    """A value for a cell of a table: settings as name=value."""
    if isinstance(value, Mapping):
        return " ".join(f"{k}={'required' if v is None and k == 'learning_rate' else v}" for k, v in value.items())
    return "" if value is None else str(value)


def long(value: Any) -> list[str]:
    """A value for ``show`` as lines: one for every item of a mapping or a list."""
    if isinstance(value, Mapping):
        value = [f"{k} = {json.dumps(v, default=str)}" for k, v in value.items()]
    if isinstance(value, list):
        return list(map(str, value)) or ["none"]
    return ["unknown" if value is None else str(value)]


def show(name: str, settings: Sequence[str], allow_code: bool = False) -> tuple[dict[str, Any], Problem | None]:
    """Everything that is known of an entry, and the problem itself where it is one.

    A problem's scales are measured, for which JAX is imported.

    Raises:
        UnknownNameError: when no catalogue has it.
    """
    families = gather("gdbench.problems", ProblemFamily)
    if name in families or ":" in name or cutest.needs_extra(name):
        return show_problem(name, dict(_setting(text) for text in settings), allow_code)
    if settings:
        raise SuiteError([f"only problems take settings, and {name!r} is none: {did_you_mean(name, families)}"])
    catalogues = {
        kind: {str(row["name"]): row for row in make()[1]} for kind, make in LISTS.items() if kind != "problems"
    }
    for kind, rows in catalogues.items():
        if name in rows:
            return {"kind": kind.removesuffix("s"), **rows[name], **_more(kind, name)}, None
    known = [*families, *(n for rows in catalogues.values() for n in rows)]
    raise UnknownNameError(f"nothing is called {name!r}: {did_you_mean(name, known)}")


def show_problem(name: str, settings: Mapping[str, Any], allow_code: bool = False) -> tuple[dict[str, Any], Problem]:
    """The facts of a problem with its scales, and the problem."""
    entry = gather("gdbench.problems", ProblemFamily).get(name)
    problem = resolve_problem(name, allow_code, **settings)
    head = {"kind": "problem", "name": problem.label, "family": entry.theme if entry else None}
    return {**head, "summary": entry.summary if entry else "", **facts.facts(problem), **facts.scales(problem)}, problem


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
