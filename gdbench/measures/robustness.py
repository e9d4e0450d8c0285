"""How much of its grid of settings an optimizer works on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.measures.base import Measure, converged, hyperparameter_names
from gdbench.measures.usable_width import ENOUGH


def share_of_settings(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """Share of the settings of the hyperparameter axes at which at least half of the descents converge.

    Unlike the share of all descents it tells an optimizer that always works on half of its grid from one that works
    half of the time everywhere. It depends on the grid, so it compares optimizers on the same one. NaN without an axis
    or descents.
    """
    names = hyperparameter_names(cell) if len(frame) else []
    if not names:
        return float("nan")
    _, setting, count = np.unique(frame[names].to_numpy(dtype=float), axis=0, return_inverse=True, return_counts=True)
    return float((np.bincount(setting, converged(frame)) / count >= ENOUGH).mean())


robustness = Measure(
    "robustness", "share", "high", "share of the settings at which half of the descents or more converge",
    share_of_settings,
)  # fmt: skip
