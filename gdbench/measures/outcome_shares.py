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


def share_of(*outcomes: str) -> Callable[[DataFrame, Mapping[str, Any]], float]:
    """A function of (frame, cell): the share of the descents that ended in one of these ways, NaN for no descents."""

    def share(frame: DataFrame, cell: Mapping[str, Any]) -> float:
        shares = outcome_shares(frame)
        return sum(shares[name] for name in outcomes)

    return share


share_diverged = Measure(
    "share_diverged", "share", "low", "share of descents that diverged or became nonfinite", share_of(*LOST)
)
share_nonfinite = Measure(
    "share_nonfinite", "share", "low", "share of descents that became NaN or infinite", share_of("nonfinite")
)
share_trapped = Measure(
    "share_trapped", "share", "low", "share of descents that came to rest above the tolerance", share_of("trapped")
)
share_oscillating = Measure(
    "share_oscillating",
    "share",
    "low",
    "share of descents that went to and fro without falling",
    share_of("oscillating"),
)
share_unfinished = Measure(
    "share_unfinished", "share", "low", "share of descents whose budget ended on the way", share_of("unfinished")
)
