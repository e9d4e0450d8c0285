"""What a rule is, what it finds, and how findings become a verdict.

A claim of a suite has one or more tests. Each asks a rule for evidence: one number a case, with its interval where
there is one, and whether the claim holds there. Nobody writes a verdict down: it follows from the evidence
(``verdict_of``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from pandas import DataFrame

from gdbench.errors import did_you_mean
from gdbench.figures.choose import RECORD, best_setting, rows, shown_on, where
from gdbench.stats.bootstrap import Estimate, bootstrap
from gdbench.stats.proportion import wilson

if TYPE_CHECKING:
    from gdbench.figures.base import Results

SHOWN, REFUTED, ONLY, OPEN = "shown", "refuted", "only when", "not decided"
"""The verdicts."""

RESAMPLES = 2000

MOST_CONDITIONS = 4
"""Conditions that a verdict names; of more it says how many."""


@dataclass(frozen=True)
class Setting:
    """A setting of a rule in a suite.

    Attributes:
        kind: types of its value.
        what: one line.
        default: its value where a suite says nothing; None for a setting that must be given, unless ``optional``.
        choices: the values it may have; any, where there are none.
        optional: whether None stands for something.
    """

    kind: tuple[type, ...]
    what: str
    default: Any = None
    choices: tuple[Any, ...] = ()
    optional: bool = False


@dataclass(frozen=True)
class Evidence:
    """What was found in one case.

    Attributes:
        when: the condition that the case stands for, as "only when" would name it.
        case: what was measured, and on what.
        value: the number.
        low: lower end of its 95% interval; NaN where there is none.
        high: upper end.
        holds: whether the claim holds here; None where the interval does not tell.
    """

    when: str
    case: str
    value: float
    low: float = float("nan")
    high: float = float("nan")
    holds: bool | None = None


@dataclass(frozen=True)
class Asked:
    """What a rule is asked: a run, those of its cells that a test looks at, the settings of the rule, and the verdicts
    of the claims before, by name.
    """

    results: Results
    cells: list[dict[str, Any]]
    settings: Mapping[str, Any]
    before: Mapping[str, str] = field(default_factory=dict)

    def at_best(
        self, cell: Mapping[str, Any], columns: Sequence[str] = (), at: Mapping[str, float] | None = None
    ) -> DataFrame:
        """The held-out descents of a cell at its best setting, where ``at`` fixes the problem's parameters.

        All descents at that setting where none are held out (one start).
        """
        return at_best(rows(self.results, cell, [*RECORD, *columns], at), cell)

    def table(self, cell: Mapping[str, Any], *columns: str) -> DataFrame:
        """These columns of a cell's descents, and all of its axes."""
        names = [axis["name"] for axis in cell["axes"]]
        wanted = list(dict.fromkeys(["instance", "start", "seed", *names, *columns]))
        return self.results.table(wanted, [cell["id"]])


def at_best(table: DataFrame, cell: Mapping[str, Any]) -> DataFrame:
    """Those of a cell's rows that show its best setting, as ``Asked.at_best`` says."""
    best, shown = best_setting(table, cell), shown_on(table)[0]
    return where(shown, best) if best else shown


@dataclass(frozen=True)
class Rule:
    """How a claim is decided.

    Attributes:
        name: name in the catalogue.
        number: what the number of a case is, with its unit; names of settings in braces stand for their values.
        decides: when the claim holds in a case, one sentence.
        weigh: (what is asked) -> the evidence, a case each; none where the cells do not tell.
        settings: what a suite may set.
    """

    name: str
    number: str
    decides: str
    weigh: Callable[[Asked], list[Evidence]]
    settings: Mapping[str, Setting] = field(default_factory=dict)


def setting_faults(rule: Rule, given: Mapping[str, Any]) -> list[str]:
    """What is wrong with the settings that a suite gives a rule."""
    faults = [
        f"{rule.name} has no setting {name!r}: {did_you_mean(name, rule.settings)}"
        for name in given if name not in rule.settings
    ]  # fmt: skip
    for name, setting in rule.settings.items():
        if name not in given:
            if setting.default is None and not setting.optional:
                faults.append(f"{rule.name} needs {name}: {setting.what}")
        elif not isinstance(given[name], setting.kind) or isinstance(given[name], bool) != (bool in setting.kind):
            kinds = " or ".join(kind.__name__ for kind in setting.kind)
            faults.append(f"{name} is {setting.what} ({kinds}), got {given[name]!r}")
        elif setting.choices and given[name] not in setting.choices:
            faults.append(f"no {name} {given[name]!r}: {did_you_mean(str(given[name]), setting.choices)}")
    return faults


def conditions_of(evidence: Sequence[Evidence]) -> dict[str, bool | None]:
    """Whether a claim holds under each condition of a test.

    It fails under a condition where it fails in one of its cases, holds where it fails in none and at least half of
    them tell that it holds, and is open otherwise.
    """
    groups: dict[str, list[bool | None]] = {}
    for one in evidence:
        groups.setdefault(one.when, []).append(one.holds)
    return {
        when: False if False in found else True if 2 * found.count(True) >= len(found) else None
        for when, found in groups.items()
    }


def verdict_of(tests: Sequence[Sequence[Evidence]]) -> tuple[str, list[str]]:
    """The verdict on a claim from the evidence of its tests, and the conditions of one that does not always hold.

    *Shown*: it holds under every condition of every test. *Only when*: under some. *Refuted*: under none, and it fails
    under one. *Not decided*: otherwise. A test without evidence is open. The conditions are those of the tests that
    hold under some alone; where every test holds or fails as a whole, those of the tests that hold.
    """
    told = [conditions_of(evidence) or {"": None} for evidence in tests]
    flat = [holds for found in told for holds in found.values()]
    if all(flat):
        return SHOWN, []
    if not any(flat):
        return (REFUTED, []) if False in flat else (OPEN, [])
    partly = [found for found in told if not all(found.values())]
    names = [when for found in partly for when, holds in found.items() if holds]
    names = names or [when for found in told for when, holds in found.items() if holds]
    return ONLY, list(dict.fromkeys(names))


def share_of(holds: np.ndarray) -> tuple[float, float, float]:
    """The share of a list of yes and no with its 95% interval (Wilson)."""
    interval = wilson(float(np.sum(holds)), len(holds))
    return float(np.mean(holds)) if len(holds) else float("nan"), interval.low, interval.high


def beyond(low: float, high: float, bound: float) -> bool | None:
    """Whether an interval lies above a bound (True), below it (False), or has it within (None)."""
    return True if low > bound else False if high < bound else None


def within(interval: tuple[float, float], least: float | None, most: float | None) -> bool | None:
    """Whether an interval lies within bounds, each of which may be missing; None where it does not tell.

    An end that equals a bound, to rounding, keeps to it: a number known for certain is an interval of one point.
    """
    low, high = interval
    kept = least is None or low >= least - abs(least) * 1e-9, most is None or high <= most + abs(most) * 1e-9
    missed = least is not None and high < least, most is not None and low > most
    return True if all(kept) else False if any(missed) else None


def over_starts(values: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]) -> Estimate:
    """A statistic of values [starts, places] with its 95% bootstrap interval over the starts.

    Args:
        values: one row a start (with its seed and instance), which stays together.
        statistic: [..., starts, places] -> [...].
    """
    rng = np.random.default_rng(0)  # one run, one interval
    return bootstrap(values, lambda drawn, axis: statistic(drawn), rng, resamples=RESAMPLES)


def label(cell: Mapping[str, Any]) -> str:
    """A cell in a sentence."""
    return f"{cell['optimizer']['label']} on {cell['problem']['label']}"


def grid_of(frame: DataFrame, axis: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The places on an axis that are stored, ascending, and the values of the descents by start, seed and instance
    (rows) and place (columns); NaN where none is.
    """
    at = frame[axis].to_numpy(dtype=float)
    places = np.unique(at)
    unit = frame.groupby(["instance", "start", "seed"], observed=True, sort=True).ngroup().to_numpy()
    found = np.full((int(unit.max(initial=-1)) + 1, len(places)), np.nan)
    found[unit, np.searchsorted(places, at)] = values
    return places, found
