"""The catalogues as rows, for ``gdbench list`` and ``gdbench show``; only the facts of one problem need JAX.

The catalogues, and with them NumPy, pandas and matplotlib, are imported by the functions that need them: a list that
an earlier process kept (``gdbench.kept``) needs none, and each of the others only its own.
"""

from __future__ import annotations

import json
import textwrap
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdbench import kept
from gdbench.catalogue import gather, look_up, natural
from gdbench.errors import NothingSelectedError, SuiteError, UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from gdbench.contracts import Optimizer, Problem, ProblemFamily

Rows = tuple[list[str], list[dict[str, Any]]]

Recall = Callable[[Any, Callable[[], Any]], Any]
"""(what, make) -> what ``make`` gives, now or in an earlier process (``kept.recall``)."""


def anew(what: Any, make: Callable[[], Any]) -> Any:
    """Work it out, whatever was kept."""
    return make()


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

    def admits(self, row: Mapping[str, Any]) -> bool:
        """Whether the problem of a row is one of them."""
        found = {**row, "known_minimum": row["bounded"] and row["minimum"] is not None}
        return all(found[name] == value for name, value in self.asked.items())


ALL = Selection()


def problems(wanted: Selection = ALL, recall: Recall = anew) -> Rows:
    """The problem families of a selection, each built with its default settings, or in the dimension asked for.

    Raises:
        UnknownNameError: for a family that the catalogue has not.
        NothingSelectedError: when none is left.
    """
    # By default all are built at once, and kept for every selection; in a large dimension a family may take minutes.
    family = wanted.family if recall is anew or wanted.dim is not None else None
    rows = recall(["problems", wanted.dim, family], lambda: _problems(wanted.dim, family))
    found = [row for row in rows if wanted.admits(row)]
    if not found:
        _known_family(wanted.family)
        told = " and ".join(f"{name} = {value}" for name, value in wanted.asked.items())
        raise NothingSelectedError(f"no problem has {told}: leave one of these out")
    return ["name", "family", "dim", "minimum", "tags", "summary"], found


def _families() -> Mapping[str, ProblemFamily]:
    from gdbench.contracts import ProblemFamily

    return gather("gdbench.problems", ProblemFamily)


def _problems(dim: int | None, family: str | None) -> list[dict[str, Any]]:
    """The rows of the problems (of one family, where it is named) that can have a dimension."""
    built = [
        (entry, _built(entry, dim))
        for entry in sorted(_families().values(), key=lambda entry: natural(entry.name))
        if family in (None, entry.theme)
    ]
    return [_row(entry, problem) for entry, problem in built if problem is not None]


def _known_family(family: str | None) -> None:
    """Refuse a family of problems that the catalogue has not."""
    from gdbench.choices import problem_named
    from gdbench.problems import cutest

    themes = sorted({entry.theme for entry in _families().values()})
    if family is not None and family not in themes:
        if cutest.needs_extra(f"{family}/"):
            problem_named(f"{family}/")  # raises, with how to install them
        raise UnknownNameError(f"unknown family {family!r}: {did_you_mean(family, themes)}")


def _built(entry: ProblemFamily, dim: int | None) -> Problem | None:
    """The problem of a family, in a dimension where one is asked for; None where it cannot have that."""
    if dim is None or "dim" not in entry.settings:
        problem = entry()
        return problem if dim in (None, problem.dim) else None
    try:
        return entry(dim=dim)
    except SuiteError:  # a family refuses the dimensions that it does not have
        return None


def _row(entry: ProblemFamily, problem: Problem) -> dict[str, Any]:
    from gdbench import facts

    head = {"name": entry.name, "family": entry.theme, "summary": entry.summary}
    return head | {"dim_is_setting": "dim" in entry.settings} | facts.facts(problem)


def cell(row: Mapping[str, Any], column: str) -> str:
    """What stands in a column of a row of a list."""
    value = row.get(column)
    if "required" in row and column in ("hyperparameters", "notes"):
        if column == "notes":
            return textwrap.shorten(value or "", SHORT, placeholder=" …")
        return short({n: "required" if n in row["required"] else v for n, v in (value | row["static"]).items()})
    if column == "dim":
        return f"n={value}" if row["dim_is_setting"] else str(value)
    if column == "minimum":
        unknown = "unknown" if row["bounded"] else "none"
        return unknown if value is None else f"{value:.6g}"
    return short(value)


def transforms() -> Rows:
    """Every transform of problems."""
    from gdbench.transforms.base import Transform

    rows = [
        {"name": t.name, "settings": dict(t.settings), "parameters": dict(t.parameters), "summary": t.summary}
        for t in gather("gdbench.transforms", Transform).values()
    ]
    return ["name", "settings", "parameters", "summary"], rows


SHORT = 44
"""Characters of a note in a list."""

NOTHING = "nothing"
"""What an optimizer needs that asks a problem for values and gradients alone, as a filter."""


def optimizers(family: str | None = None, needs: str | None = None, recall: Recall = anew) -> Rows:
    """Every optimizer, or those of a family, and those that need something of a problem.

    Raises:
        UnknownNameError: for a family that the catalogue has not, or a need that there is not.
        NothingSelectedError: when none is left.
    """
    rows = recall(["optimizers"], lambda: [_optimizer(o) for o in _optimizers().values()])
    found = [
        row
        for row in rows
        if family in (None, row["family"]) and (needs is None or needs in (row["needs"] or [NOTHING]))
    ]
    if not found:
        from gdbench.contracts import NEEDS

        families = sorted({row["family"] for row in rows})
        for what, given, known in (("family", family, families), ("need", needs, [*NEEDS, NOTHING])):
            if given is not None and given not in known:
                raise UnknownNameError(f"unknown {what} {given!r}: {did_you_mean(given, known)}")
        raise NothingSelectedError(f"no optimizer has family = {family} and needs = {needs}: leave one of these out")
    return ["name", "family", "needs", "costs", "notes", "hyperparameters"], found


def _optimizers() -> Mapping[str, Optimizer]:
    from gdbench.contracts import Optimizer

    return gather("gdbench.optimizers", Optimizer)


def _optimizer(o: Optimizer) -> dict[str, Any]:
    """What is known of an optimizer."""
    defaults = {name: spec.default for name, spec in o.hyperparameters.items()}
    return {
        "name": o.name, "family": o.family,
        "hyperparameters": {n: defaults[n] for n, h in o.hyperparameters.items() if not h.static},
        "static": {n: defaults[n] for n, h in o.hyperparameters.items() if h.static},
        "required": [n for n, h in o.hyperparameters.items() if h.default is None and not (h.optional or h.static)],
        "origin": {n: h.origin for n, h in o.hyperparameters.items()},
        "needs": list(o.needs), "most_dim": o.most_dim, "costs": o.costs, "rule": rule_of(o),
        "theory": o.theory(defaults) if callable(o.theory) else o.theory, "notes": o.notes,
    }  # fmt: skip


def rule_of(optimizer: Optimizer) -> str:
    """The name that an optimizer's rule has under all of its names, at its default hyperparameters."""
    defaults = {name: spec.default for name, spec in optimizer.hyperparameters.items()}
    named = optimizer.rule(defaults) if callable(optimizer.rule) else optimizer.rule
    return named or optimizer.name


def schedules() -> Rows:
    """Every schedule of the learning rate."""
    from gdbench.contracts import Schedule

    rows = [
        {
            "name": s.name, "hyperparameters": {n: h.default for n, h in s.hyperparameters.items()},
            "origin": {n: h.origin for n, h in s.hyperparameters.items()}, "formula": s.formula, "source": s.source,
        }
        for s in gather("gdbench.schedules", Schedule).values()
    ]  # fmt: skip
    return ["name", "hyperparameters", "formula"], rows


def measures() -> Rows:
    """Every measure."""
    from gdbench.measures.base import Measure

    rows = [
        {"name": m.name, "unit": m.unit, "better": m.better, "summary": m.summary}
        for m in gather("gdbench.measures", Measure).values()
    ]
    return ["name", "unit", "better", "summary"], rows


def rules() -> Rows:
    """Every rule that decides a claim."""
    from gdbench.claims.base import Rule

    rows = [
        {"name": r.name, "settings": {n: s.default for n, s in r.settings.items()}, "number": r.number,
         "decides": r.decides} for r in gather("gdbench.claims", Rule).values()
    ]  # fmt: skip
    return ["name", "settings", "decides"], rows


def figures() -> Rows:
    """Every figure, by its number."""
    from gdbench.figures.base import Figure

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
    "problems": problems, "transforms": transforms, "optimizers": optimizers, "schedules": schedules,
    "measures": measures, "rules": rules, "figures": figures, "suites": suites,
}  # fmt: skip


def listed(kind: str, wanted: Selection = ALL, needs: str | None = None) -> Rows:
    """What the command line lists, from what an earlier process kept where that still holds.

    Args:
        kind: one of ``LISTS``.
        wanted: which problems; of optimizers, only the family.
        needs: what optimizers need.
    """
    if kind == "problems":
        return problems(wanted, kept.recall)
    if kind == "optimizers":
        return optimizers(wanted.family, needs, kept.recall)
    if kind == "suites":  # files of the user's, read as quickly as anything kept
        return suites()
    header, rows = kept.recall([kind], lambda: list(LISTS[kind]()))
    return header, rows


def short(value: Any) -> str:
    """A value for a cell of a table: settings as name=value."""
    if isinstance(value, Mapping):
        return " ".join(f"{k}={f'{v:g}' if isinstance(v, float) else v}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
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
    from gdbench.problems import cutest

    families = _families()
    if name in families or ":" in name or cutest.needs_extra(name):
        return show_problem(name, dict(_setting(text) for text in settings), allow_code)
    if settings:
        raise SuiteError([f"only problems take settings, and {name!r} is none: {did_you_mean(name, families)}"])
    # A schedule may share its name with a problem: 'schedule/linear' is the schedule.
    said, others = name.partition("/")[0] + "s", [kind for kind in LISTS if kind != "problems"]
    for kind in [said] if said in others else others:
        rows = {str(row["name"]): row for row in LISTS[kind]()[1]}
        row = rows.get(name.removeprefix(f"{kind.removesuffix('s')}/"))
        if row is not None:
            return {"kind": kind.removesuffix("s"), **row, **_more(kind, row)}, None
    known = [*families, *(str(row["name"]) for kind in others for row in LISTS[kind]()[1])]
    raise UnknownNameError(f"nothing is called {name!r}: {did_you_mean(name, known)}")


def show_problem(name: str, settings: Mapping[str, Any], allow_code: bool = False) -> tuple[dict[str, Any], Problem]:
    """The facts of a problem with its scales, and the problem."""
    from gdbench import facts
    from gdbench.choices import resolve_problem

    entry = _families().get(name)
    problem = resolve_problem(name, allow_code, **settings)
    head = {"kind": "problem", "name": problem.label, "family": entry.theme if entry else None}
    return {**head, "summary": entry.summary if entry else "", **facts.facts(problem), **facts.scales(problem)}, problem


def _more(kind: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """What only the page of one optimizer tells."""
    if kind != "optimizers":
        return {}
    entries = _optimizers()
    optimizer = look_up(entries, row["name"], "optimizer")
    others = [o.name for o in entries.values() if rule_of(o) == row["rule"] and o is not optimizer]
    return {"aliases": others, "formula": optimizer.formula, "source": optimizer.source}


def sheet(told: Mapping[str, Any]) -> dict[str, list[str]]:
    """What ``show`` told of anything but a problem, as lines."""
    if told["kind"] != "optimizer":
        return {key: long(value) for key, value in told.items()}
    from gdbench.contracts import NEEDS

    numbers = []
    for name, origin in told["origin"].items():
        static = name in told["static"]
        value = (told["static"] if static else told["hyperparameters"])[name]
        shown = "required" if name in told["required"] else "absent" if value is None else json.dumps(value)
        numbers.append(f"{name} = {shown} ({'static' if static else 'traced'}; {origin})")
    most = f"at most {told['most_dim']} dimensions" if told["most_dim"] else None
    needs = [NEEDS[need] for need in told["needs"]] + ([most] if most else [])
    lines = {
        "kind": ["optimizer"], "name": [told["name"]], "family": [told["family"]], "formula": [told["formula"]],
        "source": [told["source"]], "hyperparameters": numbers or ["none"], "needs": needs or [NOTHING],
        "cost of a step": [told["costs"]], "closed form": [told["theory"] or "none"],
        "rule": [told["rule"] + (f", also as {', '.join(told['aliases'])}" if told["aliases"] else "")],
        "notes": [told["notes"]],
    }  # fmt: skip
    return {key: shown for key, shown in lines.items() if shown != [""]}


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise SuiteError([f"a setting is name=value, got {text!r}"])
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value
