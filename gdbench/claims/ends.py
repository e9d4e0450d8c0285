"""Where descents end: at a minimum, at another one, where they began, or nowhere."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from pandas import DataFrame

from gdbench.claims.base import Asked, Evidence, Rule, Setting, beyond, label, share_of
from gdbench.measures.base import CONVERGED, converged

LAST = 16
"""Iterates that tell whether a descent rests."""


class Path(NamedTuple):
    """A stored path with the outcome of its descent and the values of the problem's parameters."""

    points: np.ndarray
    outcome: str
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
        found.append(Path(points, str(frame["outcome"].iloc[i]), at))
    return found


def _weigh_stays(asked: Asked) -> list[Evidence]:
    found = []
    for cell in asked.cells:
        dim = cell["problem"]["dim"]
        names = [f"{end}_{i}" for i in range(dim) for end in ("start", "end")]
        frame = asked.table(cell, "outcome", *names)
        moved = np.max([np.abs(frame[f"end_{i}"].to_numpy(float) - frame[f"start_{i}"].to_numpy(float))
                        for i in range(dim)], axis=0)  # fmt: skip
        for start in np.unique(frame["start"]):
            own = frame["start"].to_numpy() == start
            place = ", ".join(f"{frame[f'start_{i}'].to_numpy(float)[own][0]:g}" for i in range(dim))
            case = f"{label(cell)}: how far a descent from ({place}) moves"
            found.append(Evidence(f"{label(cell)} from ({place})", case, float(moved[own].max()),
                                  holds=bool(moved[own].max() == 0)))  # fmt: skip
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
            last = path.points[-LAST:, 0]
            low, high = float(last.min()), float(last.max())
            rests = high - low <= 1e-6 and path.outcome == CONVERGED
            case = f"{label(cell)} from {path.points[0, 0]:g}: where the last {LAST} iterates lie"
            found.append(Evidence(label(cell), case, float(last[-1]), low, high, rests))
    return found


RESTS = Rule(
    name="rests",
    number="range of the last iterates",
    decides=f"The last {LAST} iterates lie within 1e-6 of each other, at a minimizer.",
    weigh=_weigh_rests,
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
