"""What derivatives say of a function, measured by quotients: slopes, tangents, partial and directional derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.claims.base import Asked, Evidence, Rule, Setting
from gdbench.figures.choose import floats, keep
from gdbench.figures.style import number

EXACT = 1e-9
"""Error of a slope that counts as none, in float64."""


def _problems(asked: Asked) -> list[dict[str, Any]]:
    """The problems of the cells, each once."""
    found = {cell["problem"]["surface"]: cell["problem"] for cell in asked.cells}
    return list(found.values())


def _line(asked: Asked, problem: dict[str, Any]) -> DataFrame | None:
    """The values, slopes and curvatures of a one-dimensional problem over its box."""
    return asked.results.surface(problem["surface"]) if problem["dim"] == 1 else None


def _weigh_slopes(asked: Asked) -> list[Evidence]:
    points, slopes = asked.settings["points"], asked.settings["slopes"]
    found = []
    for problem in _problems(asked):
        line = _line(asked, problem)
        if line is None:
            continue
        for x, slope in zip(points, slopes, strict=True):
            place = int(np.argmin(np.abs(line["x0"].to_numpy() - x)))
            measured = float(line["g0"].iloc[place])
            right = bool(abs(line["x0"].iloc[place] - x) < EXACT and abs(measured - slope) <= EXACT)
            case = f"{problem['label']}: slope at x = {number(x)}, said to be {number(slope)}"
            found.append(Evidence(f"the slopes of {problem['label']}", case, measured, holds=right))
    return found


SLOPES = Rule(
    name="slopes",
    number="slope at a point",
    decides="The derivative by jax.grad in float64 equals the slope that the claim names, to 1e-9.",
    weigh=_weigh_slopes,
    settings={
        "points": Setting((list,), "where"),
        "slopes": Setting((list,), "the slopes that are said to be there"),
    },
)


def _weigh_quotient(asked: Asked) -> list[Evidence]:
    x, h, said = (float(asked.settings[name]) for name in ("at", "step", "value"))
    found = []
    for problem in _problems(asked):
        line = _line(asked, problem)
        if line is None:
            continue
        at = line["x0"].to_numpy()
        here, ahead = (int(np.argmin(np.abs(at - place))) for place in (x, x + h))
        measured = float((line["f"].iloc[ahead] - line["f"].iloc[here]) / (at[ahead] - at[here]))
        case = f"{problem['label']}: (f(x + h) − f(x))/h at x = {number(x)}, h = {number(h)}, said to be {number(said)}"
        found.append(
            Evidence(f"the quotients of {problem['label']}", case, measured, holds=abs(measured - said) < 1e-6)
        )
    return found


QUOTIENT = Rule(
    name="difference-quotient",
    number="difference quotient",
    decides="The difference quotient in float64 equals the value that the claim names, to 1e-6.",
    weigh=_weigh_quotient,
    settings={
        "at": Setting((int, float), "where"),
        "step": Setting((int, float), "the step h"),
        "value": Setting((int, float), "what it is said to be"),
    },
)


def _weigh_limit(asked: Asked) -> list[Evidence]:
    """How the error of the quotient goes with the step, above and below the step at which rounding takes over."""
    found = []
    for problem in _problems(asked):
        line = _line(asked, problem)
        quotients = None if line is None else line.attrs.get("quotients")
        if quotients is None:
            continue
        for dtype, group in quotients.groupby("dtype", observed=True):
            turn = float(np.sqrt(np.finfo(str(dtype)).eps))
            h, error = group["h"].to_numpy(float), group["error"].to_numpy(float)
            for name, part in (("above", h >= turn), ("below", h < turn)):
                known = part & (error > 0)
                if known.sum() < 3:
                    continue
                slope = float(np.polyfit(np.log(h[known]), np.log(error[known]), 1)[0])
                sides = f"the step is {name} √ε{', below which rounding takes over' if name == 'above' else ''}"
                case = f"{problem['label']}, {dtype}: power of h that the error goes with, h {name} √ε = {turn:.1e}"
                found.append(Evidence(sides, case, slope, holds=slope > 0.5))
    return found


LIMIT = Rule(
    name="limit-of-quotient",
    number="power of the step that the error of the quotient goes with",
    decides=(
        "The error |(f(x+h) − f(x))/h − f′(x)| falls with the step h: the fitted power is above 1/2 (in exact "
        "arithmetic it is 1)."
    ),
    weigh=_weigh_limit,
)


def _weigh_derivative(asked: Asked) -> list[Evidence]:
    pairs = {"velocity": ("f", "g0"), "acceleration": ("g0", "h0")}
    found = []
    for problem in _problems(asked):
        line = _line(asked, problem)
        if line is None or "h0" not in line:
            continue
        x = line["x0"].to_numpy(float)
        for name, (of, derivative) in pairs.items():
            y, said = line[of].to_numpy(float), line[derivative].to_numpy(float)
            # A quotient over four intervals, whose own error is of fourth order in their length.
            step = x[1] - x[0]
            quotient = (y[:-4] - 8 * y[1:-3] + 8 * y[3:-1] - y[4:]) / (12 * step)
            error = float(np.max(np.abs(quotient - said[2:-2])) / max(np.max(np.abs(said)), 1e-300))
            before = {"velocity": "position", "acceleration": "velocity"}[name]
            case = f"{problem['label']}: largest difference between {name} and the difference quotient of the {before}"
            found.append(Evidence(f"{name} of {problem['label']}", case, error, holds=error < 1e-6))
    return found


MOTION = Rule(
    name="derivative-of",
    number="largest relative difference between a derivative and a difference quotient",
    decides=(
        "Repeated jax.grad gives velocity and acceleration, and each equals the difference quotient of what it is the "
        "derivative of to 1e-6 of its largest value, all over the box."
    ),
    weigh=_weigh_derivative,
)


def _directions(asked: Asked) -> list[tuple[dict[str, Any], DataFrame]]:
    found = [(problem, asked.results.directions(problem["surface"])) for problem in _problems(asked)]
    return [(problem, frame) for problem, frame in found if frame is not None]


def _weigh_partials(asked: Asked) -> list[Evidence]:
    found = []
    for problem, frame in _directions(asked):
        partial = keep(frame, frame["kind"] == "partial")
        size = np.maximum(floats(partial, "norm"), 1e-300)
        error = np.abs(floats(partial, "slope") - floats(partial, "quotient")) / size
        case = f"{problem['label']}: largest difference of {len(partial)} partial derivatives from their quotients"
        found.append(
            Evidence(problem["label"], case, float(error.max()), holds=bool(error.max() < asked.settings["most"]))
        )
    return found


PARTIALS = Rule(
    name="partials",
    number="largest difference of a partial derivative from its difference quotient, relative to the gradient",
    decides="Each partial derivative equals the central difference quotient along its own axis, to the given share.",
    weigh=_weigh_partials,
    settings={"most": Setting((float,), "largest relative difference", 1e-5)},
)


def _weigh_steepest(asked: Asked) -> list[Evidence]:
    found = []
    for problem, frame in _directions(asked):
        norm = np.maximum(frame["norm"].to_numpy(float), 1e-300)
        share, kind = frame["quotient"].to_numpy(float) / norm, frame["kind"].to_numpy()
        chance, along, against = (share[kind == name] for name in ("random", "gradient", "opposite"))
        label, n = problem["label"], len(chance)
        best = float(chance.max())
        case = f"{label}: steepest of {n:,} random directions, as a share of the gradient's length"
        found.append(Evidence(f"{label}: no other direction is steeper", case, best, holds=best <= 1 + 1e-5))
        case = f"{label}: slope along the gradient, as a share of its length"
        found.append(Evidence(f"{label}: along the gradient f rises", case, float(along.min()),
                              holds=bool(np.all(np.abs(along - 1) < 1e-4))))  # fmt: skip
        case = f"{label}: slope against the gradient, as a share of its length"
        found.append(Evidence(f"{label}: against it f falls", case, float(against.max()),
                              holds=bool(np.all(np.abs(against + 1) < 1e-4))))  # fmt: skip
    return found


STEEPEST = Rule(
    name="steepest",
    number="slope along a direction, as a share of the gradient's length",
    decides=(
        "By difference quotients no random unit vector climbs faster than the gradient, along which the slope is the "
        "gradient's length; against it, it is minus that."
    ),
    weigh=_weigh_steepest,
)
