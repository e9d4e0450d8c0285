"""What a reader of the lesson can move: numbers that the run stored, packed for the page's scripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.claims.verdicts import Judged
from gdbench.figures.base import Results
from gdbench.figures.choose import axes_of, floats, keep, known, ran, rows, surface_of
from gdbench.figures.grids import outcome_codes
from gdbench.report.planes import pack
from gdbench.report.words import number
from gdbench.theory.of_cell import known_of

RATE = "learning_rate"

ROOM = 700_000
"""Characters of numbers that the parts may hold; functions that find no room are left out."""

Part = dict[str, Any]
"""``kind``; ``functions``, what the template offers to choose from; ``data``, which goes to the script as JSON."""


def parts(results: Results, found: Sequence[Judged]) -> dict[str, Part]:
    """The parts that the suite asks for and the run has the numbers of, by claim."""
    lines = [cell for cell in ran(results) if cell["problem"]["dim"] == 1]
    made, left = {}, ROOM
    for one in found:
        make = KINDS.get(one.claim.get("interactive", ""))
        # What the claim is about comes first.
        told = make(results, sorted(lines, key=lambda cell: _place(one.claim, cell))) if make else []
        told, left = _fitting(told, left)
        if told:
            made[one.claim["name"]] = {
                "kind": one.claim["interactive"], "functions": [entry["name"] for entry in told],
                "data": {"kind": one.claim["interactive"], "functions": told},
            }  # fmt: skip
    return made


def _place(claim: dict[str, Any], cell: dict[str, Any]) -> tuple[int, bool]:
    """The first test of a claim that names a cell's problem or experiment; there, what has a minimum comes first."""
    unbounded = cell["problem"]["minimum"] is None
    for i, test in enumerate(claim["tests"]):
        own = {cell["problem"]["name"], cell["problem"]["label"]}
        named = [own & {*test["problems"]}] if test.get("problems") else []
        named += [cell["experiment"] in test["experiments"]] if test.get("experiments") else []
        if named and all(named):
            return i, unbounded
    return len(claim["tests"]), unbounded


def _fitting(told: list[dict[str, Any]], left: int) -> tuple[list[dict[str, Any]], int]:
    """The functions that find room, and what is left of it."""
    kept = []
    for entry in told:
        size = sum(len(value["deflated"]) for value in entry.values() if isinstance(value, dict))
        if size <= left:
            kept.append(entry)
            left -= size
    return kept, left


def _curve(results: Results, cell: dict[str, Any]) -> DataFrame | None:
    """Values and slopes of a one-dimensional problem over its box; None where no surface is stored."""
    surface = results.surface(surface_of(cell))
    return None if surface is None or not {"x0", "f", "g0"} <= {*surface.columns} else surface


def _name(cell: dict[str, Any]) -> str:
    formula = cell["problem"]["formula"]
    return f"{cell['problem']['label']}: f(x) = {formula}" if formula else cell["problem"]["label"]


def tangents(results: Results, cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each one-dimensional function with its values and slopes."""
    found: dict[str, dict[str, Any]] = {}
    for cell in cells:
        surface = _curve(results, cell)
        if surface is not None and cell["problem"]["label"] not in found:
            planes = pack({"x": ("f8", surface["x0"]), "f": ("f8", surface["f"]), "g": ("f8", surface["g0"])})
            found[cell["problem"]["label"]] = {"name": _name(cell), "planes": planes}
    return list(found.values())


def descents(results: Results, cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each cell of descents on a line whose learning rate varies and whose every path is stored."""
    found = []
    for cell in cells:
        surface = _curve(results, cell)
        axes = {axis["name"] for axis in axes_of(cell).values()}
        if surface is None or not cell["path_steps"] or RATE not in axes or axes - {RATE, "start"}:
            continue
        frame = rows(results, cell, ["path", "outcome", "steps", "settle_step", "end_0", "f_final", "overshoots",
                                     *(["trace_gap"] if cell["trace_steps"] else [])], None)  # fmt: skip
        frame = keep(frame, known(frame, "path")).sort_values(["start", RATE])
        rates, starts = np.unique(floats(frame, RATE)), np.unique(frame["start"].to_numpy(int))
        if len(frame) and len(frame) == len(rates) * len(starts):
            found.append(_descents(cell, surface, frame, rates, starts))
    return found


def _descents(
    cell: dict[str, Any], surface: DataFrame, frame: DataFrame, rates: np.ndarray, starts: np.ndarray
) -> dict[str, Any]:
    """Points and values are only drawn, so that half the digits do; what is told in numbers has them all."""
    points: np.ndarray = np.stack([np.asarray(path, dtype=float) for path in frame["path"]])
    traced = {}
    if cell["trace_steps"]:
        traced["trace"] = ("f4", np.stack([np.asarray(gaps, dtype=float) for gaps in frame["trace_gap"]]))
    theory = known_of(cell, {})
    edge = float(theory.boundary()) if theory is not None else np.nan
    optimizer, minimum = cell["optimizer"]["label"], cell["problem"]["minimum"] is not None
    return {
        "name": f"{_name(cell)}, {optimizer}", "starts": [f"x = {number(x)}" for x in points[:: len(rates), 0]],
        "steps": cell["steps"], "path_steps": list(cell["path_steps"])[: points.shape[1]],
        "trace_steps": list(cell["trace_steps"]), "value": "f(x) − minimum" if minimum else "f(x)", "log": minimum,
        # A boundary that holds near a minimizer alone says nothing of a start far from it.
        "edge": edge if np.isfinite(edge) and not cell["problem"]["curvature_is_local"] else None,
        "curve": pack({"x": ("f8", surface["x0"]), "f": ("f8", surface["f"]), "g": ("f8", surface["g0"])}),
        "planes": pack({
            "rate": ("f8", rates), "points": ("f4", points), "outcome": ("u1", outcome_codes(frame)),
            "executed": ("u4", frame["steps"]), "settled": ("f8", floats(frame, "settle_step")),
            "end": ("f8", floats(frame, "end_0")), "final": ("f8", floats(frame, "f_final")),
            "overshoots": ("f8", floats(frame, "overshoots")), **traced,
        }),
    }  # fmt: skip


KINDS: dict[str, Callable[[Results, list[dict[str, Any]]], list[dict[str, Any]]]] = {
    "tangent": tangents, "descent": descents
}  # fmt: skip
"""What a claim may ask for."""
