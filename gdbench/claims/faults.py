"""What is wrong with the claims and figures that a suite names, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from gdbench.catalogue import gather
from gdbench.claims.base import Rule, setting_faults
from gdbench.errors import did_you_mean
from gdbench.figures.base import Figure


def figure_faults(names: Sequence[str]) -> list[str]:
    """Which of these are no figures."""
    figures = gather("gdbench.figures", Figure)
    return [f"no figure {name!r}: {did_you_mean(name, figures)}" for name in names if name not in figures]


def claim_faults(claims: Sequence[Mapping[str, Any]], known: Mapping[str, Set[str]]) -> list[str]:
    """What is wrong with claims as tables, given the names of the ``experiments``, ``problems`` and ``optimizers``."""
    rules = gather("gdbench.claims", Rule)
    names = [claim["name"] for claim in claims]
    faults = [f"two claims are called {name!r}" for name in sorted({n for n in names if names.count(n) > 1})]
    for claim in claims:
        faults += [f"claim {claim['name']!r}: {fault}" for fault in figure_faults([claim["figure"]])]
        for i, test in enumerate(claim["tests"]):
            where = f"claim {claim['name']!r}: tests[{i + 1}]"
            for what, entries in known.items():
                faults += [
                    f"{where}: {what}: {name!r} is not in this suite: {did_you_mean(name, entries)}"
                    for name in test[what] if name not in entries
                ]  # fmt: skip
            rule, given = test["rule"], {name: test[name] for name in test if name not in ("rule", *known)}
            if rule not in rules:
                faults.append(f"{where}: no rule {rule!r}: {did_you_mean(rule, rules)}")
            else:
                faults += [f"{where}: {fault}" for fault in setting_faults(rules[rule], given)]
    return faults
