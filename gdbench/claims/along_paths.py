"""What stored paths say: how long they are, and how their steps go with the slope."""

from __future__ import annotations

import numpy as np

from gdbench.claims.base import Asked, Evidence, Rule, Setting, beyond, label, over_starts
from gdbench.claims.ends import paths
from gdbench.measures.base import CONVERGED

LEAST = 1e-6
"""Steps and slopes below this share of the first are rounding."""


def _weigh_length(asked: Asked) -> list[Evidence]:
    most, straight, found = asked.settings["most"], asked.settings["straight"], []
    for cell in asked.cells:
        groups: dict[tuple[tuple[str, float], ...], list[float]] = {}
        for path in paths(asked, cell):
            if path.outcome == CONVERGED:
                groups.setdefault(path.at, []).append(detour(path.points))
        for at, ratios in groups.items():
            known = np.array([ratio for ratio in ratios if np.isfinite(ratio)])
            if len(known) < 2:
                continue
            told = over_starts(known[:, None], lambda drawn: np.median(drawn[..., 0], axis=-1))
            above = beyond(told.low, told.high, most)
            holds = above if not straight or above is None else not above
            case = f"{label(cell)}{''.join(f', {name} {value:g}' for name, value in at)}"
            found.append(Evidence(case, f"{case}: length of the path over the straight distance", *told, holds=holds))
    return found


def detour(path: np.ndarray) -> float:
    """The length of a path [points, dim] over the distance between its ends; NaN where it ends where it began."""
    straight = float(np.linalg.norm(path[-1] - path[0]))
    return float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum()) / straight if straight > 0 else float("nan")


LENGTH = Rule(
    name="path-length",
    number="length of the path over the straight distance between its ends",
    decides=(
        "The median over the converged descents lies below the bound (a straight path), or above it where the claim "
        "says that paths zigzag, with its 95% bootstrap interval over the starts. Every iterate counts."
    ),
    weigh=_weigh_length,
    settings={
        "most": Setting((int, float), "the bound", 1.05),
        "straight": Setting((bool,), "whether paths are said to be straight", True),
    },
)


def _weigh_steps(asked: Asked) -> list[Evidence]:
    found = []
    for cell in asked.cells:
        line = asked.results.surface(cell["problem"]["surface"])
        if line is None or cell["problem"]["dim"] != 1:
            continue
        x, slope = line["x0"].to_numpy(float), line["g0"].to_numpy(float)
        powers = [_power(path.points[:, 0], x, slope) for path in paths(asked, cell)]
        powers = np.array([power for power in powers if np.isfinite(power)])
        if len(powers) < 2:
            continue
        told = over_starts(powers[:, None], lambda drawn: np.median(drawn[..., 0], axis=-1))
        above = beyond(told.low, told.high, 0.5)
        case = f"{label(cell)}: power of the slope that the length of a step goes with"
        found.append(Evidence(cell["optimizer"]["label"], case, *told, holds=above))
    return found


def _power(x: np.ndarray, at: np.ndarray, slopes: np.ndarray) -> float:
    """The exponent p of |step| ~ |slope|^p along a path, fitted in logarithms; NaN where the slope hardly changes."""
    step, slope = np.abs(np.diff(x)), np.abs(np.interp(x[:-1], at, slopes))
    good = (step > LEAST * step.max(initial=0)) & (slope > LEAST * slope.max(initial=0))
    good &= (x[:-1] >= at[0]) & (x[:-1] <= at[-1])
    if good.sum() < 5 or np.ptp(np.log(slope[good])) < np.log(2):
        return float("nan")
    # What is left of a power of 0 is rounding.
    return round(float(np.polyfit(np.log(slope[good]), np.log(step[good]), 1)[0]), 9) + 0.0


STEPS = Rule(
    name="step-length",
    number="power of the slope that the length of a step goes with",
    decides=(
        "Steps shrink with the slope: the fitted power, its median over the paths, lies above 1/2 with its 95% "
        "bootstrap interval over them (1 is proportional, 0 independent)."
    ),
    weigh=_weigh_steps,
)
