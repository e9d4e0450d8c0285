"""How does a cost grow with the dimension?"""

from __future__ import annotations

from typing import Any

import numpy as np

from gdbench.claims.base import RESAMPLES, Asked, Evidence, Rule, Setting, within
from gdbench.contracts import EVALUATIONS
from gdbench.figures.choose import floats, keep
from gdbench.measures.base import cost, cost_at_settle

COSTS = {
    "cost": "cost to converge, at the best setting in each dimension",
    "evaluations": "evaluations a step",
    "seconds": "seconds of a gradient",
}

FORMS = {"power": "exponent p of nᵖ", "exponential": "base b of bⁿ"}

FEWEST = 3
"""Dimensions that make a line."""


def seconds_of(asked: Asked, cell: dict[str, Any], what: str) -> float:
    """Seconds of a "value" or "gradient" of the cell's problem; NaN where no experiment asked for the clock."""
    told = asked.results.clock(cell["problem"]["surface"])
    return float("nan") if told is None else float(floats(keep(told, told["what"] == what), "seconds")[0])


def costs(asked: Asked, cell: dict[str, Any], what: str) -> np.ndarray:
    """The cost of each descent that it is shown on; infinite where one did not converge."""
    if what == "seconds":
        return np.array([seconds_of(asked, cell, "gradient")])
    if what == "evaluations":
        frame = asked.table(cell, "steps", *EVALUATIONS)
        frame = keep(frame, floats(frame, "steps") > 0)
        init_f, init_g, init_h = cell["optimizer"]["init_cost"]
        return (cost(frame) - init_f - init_g - 2 * init_h) / floats(frame, "steps")
    return cost_at_settle(asked.at_best(cell))


def fit(dims: np.ndarray, each: list[np.ndarray], form: str) -> tuple[float, float, float]:
    """Exponent or base of the medians against the dimension, with a bootstrap interval over the starts.

    A draw whose median is infinite in one dimension says nothing of a line but that there is none: it counts as one
    that grows without bound.
    """
    rng = np.random.default_rng(0)
    x = np.log(dims) if form == "power" else dims.astype(float)

    def slope(y: np.ndarray) -> np.ndarray:
        centred, known = x - x.mean(), np.asarray(np.isfinite(y).all(axis=-1))
        found = (np.log(np.where(known[..., None], y, 1.0)) * centred).sum(axis=-1) / (centred**2).sum()
        return np.where(known, found if form == "power" else np.exp(found), np.inf)

    drawn = [own[rng.integers(len(own), size=(RESAMPLES, len(own)))] for own in each]
    middle = np.stack([np.quantile(own, 0.5, axis=1, method="inverted_cdf") for own in drawn], axis=-1)
    value = slope(np.array([np.quantile(own, 0.5, method="inverted_cdf") for own in each]))
    low, high = np.quantile(slope(middle), [0.025, 0.975], method="inverted_cdf")
    return float(value), float(low), float(high)


def _weigh(asked: Asked) -> list[Evidence]:
    what, form = asked.settings["of"], asked.settings["form"]
    by_optimizer: dict[str, dict[int, np.ndarray]] = {}
    for cell in asked.cells:
        found = costs(asked, cell, what)
        # A cost of 0 has no logarithm, and a cell that was not timed here has none at all.
        if len(found) and (found > 0).all():
            by_optimizer.setdefault(cell["optimizer"]["label"], {})[cell["problem"]["dim"]] = found
    evidence = []
    for optimizer, told in by_optimizer.items():
        solved = {n: own for n, own in told.items() if np.isfinite(np.quantile(own, 0.5, method="inverted_cdf"))}
        if len(solved) < FEWEST:
            continue
        dims = np.array(sorted(solved))
        value, low, high = fit(dims, [solved[n] for n in dims], form)
        holds = within((low, high), asked.settings["least"], asked.settings["most"])
        unsolved = ", ".join(str(n) for n in sorted({*told} - {*solved}))
        case = f"{optimizer}: {FORMS[form]} of the {COSTS[what]}, n = {dims[0]} to {dims[-1]}" + (
            f", without n = {unsolved}, which less than half of the starts solve" if unsolved else "")  # fmt: skip
        evidence.append(Evidence(f"{optimizer}: {COSTS[what]}", case, value, low, high, holds))
    return evidence


RULE = Rule(
    name="growth",
    number="{form} growth of {of} with the dimension",
    decides=(
        "The fitted exponent p of nᵖ, or base b of bⁿ (least squares of the logarithm of the medians), lies within the "
        "bounds that the claim names, with its 95% bootstrap interval over the starts. Dimensions that less than half "
        "of the starts solve are left out, and named."
    ),
    weigh=_weigh,
    settings={
        "of": Setting((str,), "the cost that grows", "cost", tuple(COSTS)),
        "form": Setting((str,), "whether a power or an exponential is fitted", "power", tuple(FORMS)),
        "least": Setting((int, float), "lower bound of the exponent or base", optional=True),
        "most": Setting((int, float), "upper bound of the exponent or base", optional=True),
    },
)


def _weigh_step(asked: Asked) -> list[Evidence]:
    least, most, per = (asked.settings[name] for name in ("least", "most", "per"))
    found: dict[str, list[float]] = {}
    for cell in asked.cells:
        each = costs(asked, cell, "evaluations") / (cell["problem"]["dim"] if per == "parameter" else 1)
        found.setdefault(cell["optimizer"]["label"], []).append(float(np.median(each)))
    unit = "evaluations a parameter and step" if per == "parameter" else "evaluations a step"
    evidence = []
    for optimizer, values in found.items():
        low, high = min(values), max(values)
        holds = bool(within((low, high), least, most))
        bound = f" at least {least:g}" if least is not None else f" at most {most:g}" if most is not None else ""
        evidence.append(Evidence(f"{optimizer} needs{bound} {unit}", f"{optimizer}: {unit}, range over the dimensions",
                                 float(np.median(values)), low, high, holds))  # fmt: skip
    return evidence


STEP = Rule(
    name="evaluations-a-step",
    number="evaluations of f and its gradient that a step costs",
    decides="In every dimension the median over descents lies within the bounds that the claim names.",
    weigh=_weigh_step,
    settings={
        "per": Setting((str,), "what is counted", "step", ("step", "parameter")),
        "least": Setting((int, float), "lower bound", optional=True),
        "most": Setting((int, float), "upper bound", optional=True),
    },
)


def _weigh_gradient(asked: Asked) -> list[Evidence]:
    """The time of a gradient over that of a value, of each problem."""
    found = {}
    for cell in asked.cells:
        label, n = cell["problem"]["label"], cell["problem"]["dim"]
        ratio = seconds_of(asked, cell, "gradient") / seconds_of(asked, cell, "value")
        if np.isfinite(ratio):
            case = f"{label}, n = {n}: time of a gradient over that of a value, against n + 1"
            found[label] = Evidence("a gradient is cheaper than n + 1 values", case, ratio, holds=ratio < n + 1)
    return list(found.values())


GRADIENT = Rule(
    name="gradient-in-values",
    number="cost of a gradient in function values",
    decides=(
        "A gradient takes less time than the n + 1 values of a difference quotient along every axis; compilation "
        "apart, many points at once (in theory it takes at most about 5 values whatever n is: Griewank and Walther, "
        "Evaluating Derivatives, 2008)."
    ),
    weigh=_weigh_gradient,
)
