"""Where descents end: at a minimum, at another one, where they began, or nowhere."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from pandas import DataFrame

from gdbench.claims.base import Asked, Evidence, Rule, Setting, beyond, label, share_of
from gdbench.figures.choose import floats
from gdbench.measures.base import CONVERGED, converged

LAST = 16
"""Iterates that tell whether a descent rests."""


class Path(NamedTuple):
    """A stored path with the outcome and learning rate of its descent, and the values of the problem's parameters."""

    points: np.ndarray
    outcome: str
    rate: float
    at: tuple[tuple[str, float], ...]


def paths(asked: Asked, cell: dict[str, Any]) -> list[Path]:
    """The stored paths of a cell, each as points [points, dim]."""
    if not cell["paths"]:
        return []
    frame = asked.table(cell, "outcome", "path")
    names = [axis["name"] for axis in cell["axes"] if axis["kind"] == "parameter" and len(axis["values"]) > 1]
    found = []
    for i in np.flatnonzero(frame["path"].notna().to_numpy(dtype=bool)):
        points = np.asarray(frame["path"].iloc[i], float).reshape(-1, cell["problem"]["dim"])
        at = tuple((name, float(frame[name].iloc[i])) for name in names)
        rate = float(frame["learning_rate"].iloc[i]) if "learning_rate" in frame else float("nan")
        found.append(Path(points, str(frame["outcome"].iloc[i]), rate, at))
    return found


def _level(asked: Asked, cell: dict[str, Any], start: np.ndarray) -> bool:
    """Whether the gradient at a start is zero, as far as the surface of the problem has that point."""
    surface = asked.results.surface(cell["problem"]["surface"])
    if surface is None:
        return False
    n = cell["problem"]["dim"]
    here = np.all([np.abs(floats(surface, f"x{i}") - start[i]) < 1e-9 for i in range(n)], axis=0)
    return bool(here.any() and all((floats(surface, f"g{i}")[here] == 0).all() for i in range(n)))


def _weigh_stays(asked: Asked) -> list[Evidence]:
    found = []
    for cell in asked.cells:
        axes = range(cell["problem"]["dim"])
        frame = asked.table(cell, *(f"{end}_{i}" for i in axes for end in ("start", "end")))
        starts, ends = (np.stack([floats(frame, f"{end}_{i}") for i in axes], axis=1) for end in ("start", "end"))
        for number in np.unique(frame["start"].to_numpy(int)):
            own = frame["start"].to_numpy(int) == number
            start = starts[own][0]
            if not _level(asked, cell, start):
                continue
            # An end that is not recorded lies too far away.
            moved = float(np.nan_to_num(np.abs(ends[own] - starts[own]), nan=np.inf).max())
            where = f"{label(cell)} from ({', '.join(f'{x:g}' for x in start)})"
            found.append(Evidence(where, f"{where}: how far a descent moves", moved, holds=moved == 0))
    return found


STAYS = Rule(
    name="stays",
    number="distance between start and end",
    decides="A descent that starts where the gradient is zero ends exactly there, at every learning rate of the grid.",
    weigh=_weigh_stays,
)


def _weigh_arrives(asked: Asked) -> list[Evidence]:
    found = []
    for cell in asked.cells:
        frame = asked.at_best(cell, ["distance"])
        furthest = float(frame["distance"].to_numpy(float, na_value=np.inf).max())
        what = "largest distance to the minimizer at the best rate"
        holds = bool(converged(frame).all()) and furthest <= asked.settings["within"]
        found.append(Evidence(label(cell), f"{label(cell)}: {what}", furthest, holds=holds))
    return found


ARRIVES = Rule(
    name="arrives",
    number="distance to the nearest minimizer at the end",
    decides="At the best learning rate every start converges and ends within the given distance of a minimizer.",
    weigh=_weigh_arrives,
    settings={"within": Setting((int, float), "largest distance", 1e-3)},
)


def _weigh_rests(asked: Asked) -> list[Evidence]:
    found = []
    for cell in asked.cells:
        for path in paths(asked, cell) if cell["problem"]["dim"] == 1 else []:
            if not np.isclose(path.rate, asked.settings["learning_rate"], rtol=1e-6):
                continue
            last = path.points[-LAST:, 0]
            low, high = float(last.min()), float(last.max())
            rests = high - low <= 1e-6 and path.outcome == CONVERGED
            case = f"{label(cell)} from {path.points[0, 0]:g}: where the last {LAST} iterates lie"
            found.append(Evidence(label(cell), case, float(last[-1]), low, high, rests))
    return found


RESTS = Rule(
    name="rests",
    number="range of the last iterates",
    decides=f"At the given learning rate the last {LAST} iterates lie within 1e-6 of each other, at a minimizer.",
    weigh=_weigh_rests,
    settings={"learning_rate": Setting((float,), "the learning rate")},
)


def _weigh_elsewhere(asked: Asked) -> list[Evidence]:
    found = []
    for cell in asked.cells:
        outcome = asked.at_best(cell)["outcome"].to_numpy()
        share, low, high = share_of(outcome == "trapped")
        case = f"{label(cell)}: share of the starts that rest above the global minimum, at the best setting"
        holds = beyond(low, high, asked.settings["more_than"])
        found.append(Evidence(f"on {cell['problem']['label']}", case, share, low, high, holds))
    return found


ELSEWHERE = Rule(
    name="rests-elsewhere",
    number="share of the starts that rest above the global minimum",
    decides="At the best learning rate that share lies above the given one with its 95% interval.",
    weigh=_weigh_elsewhere,
    settings={"more_than": Setting((int, float), "the share to exceed", 0.01)},
)


def _weigh_solves(asked: Asked) -> list[Evidence]:
    found: dict[str, list[bool]] = {}
    for cell in asked.cells:
        frame = asked.table(cell, "outcome")
        names = [a["name"] for a in cell["axes"] if a["kind"] in ("hyperparameter", "parameter")]
        settings = DataFrame({name: frame[name].to_numpy(float) for name in names} | {"share": converged(frame)})
        shares = settings.groupby(names).agg({"share": "mean"}) if names else settings
        best = float(np.max(shares["share"].to_numpy(float))) if names else float(converged(frame).mean())
        found.setdefault(cell["optimizer"]["label"], []).append(bool(best > 0.5))
    return [
        Evidence(name, f"{name}: share of {len(solved)} problems that it solves at its best setting",
                 float(np.mean(solved)), holds=all(solved))
        for name, solved in found.items()
    ]  # fmt: skip


SOLVES = Rule(
    name="solves",
    number="share of the problems solved",
    decides="The optimizer solves every problem: at its best setting there more than half of the starts converge.",
    weigh=_weigh_solves,
)
