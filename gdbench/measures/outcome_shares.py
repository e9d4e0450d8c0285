"""How a group of descents ended: the share of each of the six outcomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pandas import DataFrame

from gdbench.contracts import OUTCOMES
from gdbench.measures.base import LOST, Measure


def outcome_counts(frame: DataFrame) -> dict[str, int]:
    """Number of descents of each outcome, all six named, in the order of ``contracts.OUTCOMES``."""
    counts = frame["outcome"].value_counts().to_dict()
    return {name: int(counts.get(name, 0)) for name in OUTCOMES}


def outcome_shares(frame: DataFrame) -> dict[str, float]:
    """Share of each of the six outcomes; they add up to 1, or are all NaN for no descents."""
    total = len(frame)
    return {name: count / total if total else float("nan") for name, count in outcome_counts(frame).items()}


def lost(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """Share diverged or nonfinite; NaN for no descents."""
    shares = outcome_shares(frame)
    return sum(shares[name] for name in LOST)


def _share_of(outcome: str) -> Callable[[DataFrame, Mapping[str, Any]], float]:
    return lambda frame, cell: outcome_shares(frame)[outcome]


share_diverged = Measure("share_diverged", "share", "low", "share of descents that diverged or became nonfinite", lost)
share_trapped = Measure(
    "share_trapped", "share", "low", "share of descents at rest above tolerance", _share_of("trapped")
)
share_oscillating = Measure(
    "share_oscillating", "share", "low", "share of descents that overshoot and get no lower", _share_of("oscillating")
)
share_unfinished = Measure(
    "share_unfinished", "share", "low", "share of descents still falling when the budget ended", _share_of("unfinished")
)
