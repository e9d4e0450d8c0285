"""Tuning regimes: the library's default, one setting for all problems, and the best setting for each problem.

Settings are chosen on even-numbered starts and seeds only (see ``choose.split``), never on what they are judged on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame
from scipy.stats import rankdata

from gdbench.contracts import REGIMES
from gdbench.figures.choose import floats

BEST, ONE, DEFAULT = REGIMES

SLOWEST = 1024.0
"""A setting that does not converge on a problem counts as so many times slower than the best one there."""


def hyperparameter_axes(cell: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The axes that a setting is made of, by name."""
    return {axis["name"]: axis for axis in cell["axes"] if axis["kind"] == "hyperparameter"}


def one_for_all(rankings: Sequence[DataFrame]) -> dict[str, float] | None:
    """The setting that serves all problems best, from the ranking of settings on each (``choose.ranking``).

    Best is the highest mean share converged over the problems, then the lowest geometric mean of how many times more
    it costs to converge than the best setting of each problem (at most ``SLOWEST``), then the lowest mean rank of
    the median final value.

    Returns:
        The setting; None where the problems have no setting in common.
    """
    rankings = [frame for frame in rankings if len(frame)]
    if not rankings:
        return None
    names = [name for name in rankings[0].columns if not name.startswith("_")]
    if not names:
        return {}
    parts = []
    for frame in rankings:
        cost, value = floats(frame, "_cost"), floats(frame, "_value")
        # The final value decides where nothing converges; only its order means something across problems.
        order = rankdata(value)
        # A start at the minimizer costs nothing: such a cost counts as the smallest that is not 0.
        least = np.min(cost, where=cost > 0, initial=np.inf)
        slower = np.log2(np.clip(cost, least, least * SLOWEST) / least) if np.isfinite(least) else np.zeros(len(cost))
        parts.append(frame[[*names, "_converged"]].assign(_slower=slower, _order=order))
    means = pd.concat(parts).groupby(names, observed=True).agg(["mean", "size"])
    common = means[means["_converged", "size"] == len(rankings)]
    if common.empty:
        return None
    order, slower, share = (np.asarray(common[name, "mean"]) for name in ("_order", "_slower", "_converged"))
    best = np.lexsort((order, slower, -share))[0]
    found = common.index[best]
    return dict(zip(names, map(float, found if isinstance(found, tuple) else (found,)), strict=True))


Rule = tuple[str, Mapping[str, Any]]


def rule_of(cell: Mapping[str, Any]) -> Rule | None:
    """The name of a cell's rule with its hyperparameters (the values of an axis as a list); None without a name."""
    name = cell["optimizer"].get("rule")
    axes = {name: list(axis["values"]) for name, axis in hyperparameter_axes(cell).items()}
    return (name, {**cell["optimizer"]["hyperparameters"], **axes}) if name else None


def same_rule(one: Rule | None, other: Rule | None) -> bool:
    """Whether two optimizers are one rule: one name for it, and the same values of the hyperparameters of both."""
    if one is None or other is None or one[0] != other[0]:
        return False
    return all(one[1][name] == other[1][name] for name in set(one[1]) & set(other[1]))
