"""The frozen table of labelled descents: what each must be called, reasoned from the definitions and closed forms.

No label was copied from a run. Where float32 and float64 differ, ``why`` says what in the arithmetic makes them. The
gap of gradient descent on x^2 is x0^2 (1 - 2 rate)^(2k), which gives settle and stop steps by a logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np

Info = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """One descent with its label.

    ``facts`` are further columns: a value, or a function of the cell's problem (scale, tolerance, minimum) that gives
    it. ``only`` overrides outcome and facts for one dtype; a dtype that is mapped to None is left out.
    """

    name: str
    start: tuple[float, ...]
    settings: Mapping[str, float]
    outcome: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    only: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    why: str = ""

    def expected(self, dtype: str) -> dict[str, Any]:
        return {"outcome": self.outcome, **self.facts, **(self.only.get(dtype) or {})}

    def runs_in(self, dtype: str) -> bool:
        return self.only.get(dtype, {}) is not None


@dataclass(frozen=True)
class Group:
    """Descents that share a program: problem, optimizer and budget."""

    name: str
    problem: str | Callable[[Any], Any]
    optimizer: str
    steps: int
    cases: tuple[Case, ...]
    known: Mapping[str, Any] = field(default_factory=dict)


def rate(value: float, **more: float) -> dict[str, float]:
    return {"learning_rate": value, **more}


def _whole(steps: float) -> int:
    assert 0.01 < steps % 1 < 0.99, "too near a whole number to be sure in float32"
    return math.ceil(steps)


def settles(gap: float, factor: float) -> Callable[[Info], int]:
    """First k with gap factor^k <= tolerance."""
    return lambda p: 0 if gap <= p["tolerance"] else _whole(math.log(p["tolerance"] / gap) / math.log(factor))


def stops(gap: float, factor: float, start: float) -> Callable[[Info], int]:
    """First k with gap factor^k > 1e6 max(S, |f0|); |f*| is 0 here."""
    return lambda p: _whole(math.log(1e6 * max(p["scale"], abs(start)) / gap) / math.log(factor))


NEVER = {"settle_step": None}
SWINGS = {"settle_step": None, "rest": "", "flag": ""}
CONVERGED_ROUNDING = "the update is below half an ulp of x in float32 and above it in float64"

ON_PARABOLA = (
    Case("start at the minimizer", (0.0,), rate(0.1), "converged", {"settle_step": 0, "overshoots": 0, "rate": None}),
    Case("arrives in one step", (2.0,), rate(0.5), "converged", {"settle_step": 1, "rate": None, "gap_final": 0.0}),
    Case("monotone", (2.0,), rate(0.1), "converged", {"settle_step": settles(4, 0.64), "overshoots": 0, "basin": 0}),
    Case("overshooting yet converging", (2.0,), rate(0.9), "converged", {"settle_step": settles(4, 0.64), "flag": ""}),
    Case("swings for ever at rate 1", (2.0,), rate(1.0), "oscillating", {**SWINGS, "overshoots": 399, "rate": 0.0}),
    Case("just past the boundary", (2.0,), rate(1.0001), "oscillating", {**SWINGS, "steps": 400}),
    # Mean gap over W = 40 steps falls by 1 - 0.9998^81 = 1.6%, and by 0.8% in the next case.
    Case("just short of the boundary", (2.0,), rate(0.9999), "unfinished", SWINGS),
    Case("nearer still", (2.0,), rate(0.99995), "oscillating", SWINGS),
    Case("diverging", (2.0,), rate(1.1), "diverged", {"steps": stops(4, 1.44, 4), "rate": 2 * math.log10(1.2)}),
    Case("ascent without overshoot", (2.0,), rate(-0.1), "diverged", {"steps": stops(4, 1.44, 4), "overshoots": 0}),
    # The box is 10 wide, so that a descent may move by 1e7.
    Case("huge start converges", (5e6,), rate(0.1), "converged", {"settle_step": settles(2.5e13, 0.64)}),
    Case("huge start diverges by its own scale", (1e3,), rate(1.1), "diverged", {"steps": stops(1e6, 1.44, 1e6)}),
    Case("huge start moves too far", (1e9,), rate(0.1), "diverged", {"steps": 1, **NEVER}),
    Case(
        "overflow of the first value", (1e25,), rate(0.1), "diverged", {"steps": 1, **NEVER},
        {"float32": {"outcome": "nonfinite", "steps": 0}}, "1e50 is infinite in float32",
    ),
    Case("overflow in float64", (1e200,), rate(0.1), "nonfinite", {"steps": 0}, {"float32": None}, "no such start"),
    Case(
        "underflow of the gap", (2.0,), rate(0.25), "converged", {"rate": 2 * math.log10(0.5), "gap_final": 2.0**-798},
        {"float32": {"gap_final": 0.0}}, "2^-798 is zero in float32",
    ),
    Case(
        "small rate lost to rounding", (2.0,), rate(1e-9), "unfinished", {"flag": "", **NEVER},
        {"float32": {"flag": "rounding"}}, CONVERGED_ROUNDING,
    ),
    Case("tiny rate lost to rounding", (2.0,), rate(1e-20), "unfinished", {"flag": "rounding", **NEVER}),
    Case("still falling", (2.0,), rate(1e-3), "unfinished", {"flag": "", "overshoots": 0, **NEVER}),
)  # fmt: skip

# Budget 997: W = 99, so a descent must have settled by step 898. The rates put the step of settling at 890.5 and 940.5.
_LATE = {"float32": 1e-5, "float64": 1e-8}


def _settling_at(k: float, dtype: str) -> float:
    return (1 - (_LATE[dtype] / 4) ** (1 / (2 * k))) / 2


def _prime_cases() -> tuple[Case, ...]:
    cases = [
        Case("swings", (2.0,), rate(1.0), "oscillating", {**SWINGS, "overshoots": 996, "rate": 0.0}),
        Case("diverging", (2.0,), rate(1.1), "diverged", {"steps": stops(4, 1.44, 4)}),
        Case(
            "monotone", (2.0,), rate(0.1), "converged", {"settle_step": settles(4, 0.64), "rate": 2 * math.log10(0.8)}
        ),
    ]
    for dtype, other in (("float32", "float64"), ("float64", "float32")):
        for k, outcome in ((890.5, "converged"), (940.5, "unfinished")):
            name = f"settles at {math.ceil(k)} in {dtype}"
            facts = {"settle_step": math.ceil(k), "flag": ""}
            start = rate(_settling_at(k, dtype))
            cases.append(Case(name, (2.0,), start, outcome, facts, {other: None}, "the tolerances differ"))
    return tuple(cases)


# W = 1, from step 0 on: only a descent that starts within tolerance can be seen to stay there.
ONE_STEP = (
    Case("at the minimizer", (0.0,), rate(0.1), "converged", {"settle_step": 0, "steps": 1}),
    Case("arrives with the last step", (2.0,), rate(0.5), "unfinished", {"settle_step": 1, "gap_final": 0.0}),
    Case("past the boundary", (2.0,), rate(1.1), "unfinished", {"overshoots": 0, "rate": 2 * math.log10(1.2)}),
    Case("diverges at once", (2.0,), rate(1e9), "diverged", {"steps": 1, **NEVER}),
    Case(
        "overflows at once", (2.0,), rate(1e30), "diverged", {"steps": 1},
        {"float32": {"outcome": "nonfinite"}}, "(4e30)^2 is infinite in float32",
    ),
)  # fmt: skip

# W = 1, from step 1 on.
TWO_STEPS = (
    Case("arrives in one step", (2.0,), rate(0.5), "converged", {"settle_step": 1}),
    Case("swings", (2.0,), rate(1.0), "oscillating", {**SWINGS, "overshoots": 1}),
    Case("swings and falls", (2.0,), rate(0.9), "unfinished", {"overshoots": 1, **NEVER}),
    Case("updates lost", (2.0,), rate(1e-20), "unfinished", {"flag": "rounding"}),
)

# W = 25: 4 0.64^k settles at 29 or 45, after step 25; 4 0.36^k settles at 13 or 20, before it.
FIFTY_STEPS = (
    Case("too late", (2.0,), rate(0.1), "unfinished", {"settle_step": settles(4, 0.64)}),
    Case("in time", (2.0,), rate(0.2), "converged", {"settle_step": settles(4, 0.36)}),
    Case("diverging", (2.0,), rate(1.1), "diverged", {"steps": stops(4, 1.44, 4)}),
)

# Eigenvalues 1 and 10: boundary 0.2. At it the second coordinate changes sign for ever, with gap 5.
ON_QUADRATIC = (
    Case("at the boundary", (1.0, 1.0), rate(0.2), "oscillating", SWINGS),
    Case(
        "at the boundary, along the flat axis", (1.0, 0.0), rate(0.2), "converged", {"settle_step": settles(0.5, 0.64)}
    ),
    Case("below the boundary", (1.0, 1.0), rate(0.19), "converged", {"basin": 0}),
    Case("beyond the boundary", (0.0, 1.0), rate(0.21), "diverged", {"steps": stops(5, 1.21, 5)}),
    Case("beyond the boundary, along the flat axis", (1.0, 0.0), rate(0.21), "converged", {"overshoots": 0}),
)

# x <- x + rate (x - x^3); minima -1 and 1 (basins 0 and 1). Between rates 1 and sqrt(5) - 1 a 2-cycle attracts.
ON_DOUBLE_WELL = (
    Case("on the maximum", (0.0,), rate(0.1), "trapped", {"rest": "maximum", "gap_final": 0.25, **NEVER}),
    Case("into the right well", (0.5,), rate(0.1), "converged", {"basin": 1, "rest": "", "f_final": -0.25}),
    Case("into the left well", (-0.5,), rate(0.1), "converged", {"basin": 0, "f_final": -0.25}),
    Case("period doubled", (0.5,), rate(1.2), "oscillating", SWINGS),
    # 2, -5.2, 157: f is 2, 169, 1.5e8, and the bound 2e6.
    Case("escapes", (2.0,), rate(1.2), "diverged", {"steps": 2, **NEVER}),
)

# Converges iff rate x0^2 < 2, and then as gap = 1/(16 rate^2 k^2), far from tolerance after 400 steps at rate 0.1.
ON_QUARTIC = (
    Case("start at the minimizer", (0.0,), rate(0.1), "converged", {"settle_step": 0}),
    Case("sublinear", (1.0,), rate(0.1), "unfinished", {"flag": "", "overshoots": 0, **NEVER}),
    Case("exact two-cycle", (2.0,), rate(0.5), "oscillating", {**SWINGS, "overshoots": 399}),
    Case("past the boundary", (2.0,), rate(0.51), "diverged", NEVER),
    Case(
        "overflows", (2.0,), rate(1e10), "diverged", {"steps": 1}, {"float32": {"outcome": "nonfinite"}},
        "(8e10)^4 / 4 is infinite in float32",
    ),
)  # fmt: skip


def himmelblau_maximum() -> tuple[float, float]:
    """Where the gradient of Himmelblau's function vanishes near (-0.27, -0.92), by Newton's method."""
    p = np.array([-0.27, -0.92])
    for _ in range(10):
        x, y = p
        a, b = x * x + y - 11, x + y * y - 7
        gradient = np.array([4 * x * a + 2 * b, 2 * a + 4 * y * b])
        mixed = 4 * (x + y)
        p = p - np.linalg.solve([[4 * a + 8 * x * x + 2, mixed], [mixed, 4 * b + 8 * y * y + 2]], gradient)
    return float(p[0]), float(p[1])


# Minimizers in the order of the catalogue: (3, 2) first. Curvature is below 90 there, so that rate 0.01 is stable.
ON_HIMMELBLAU = (
    # The error of a rounded start grows by (1 + 1e-4 |curvature|)^400 < 10 and stays far below 1e-6 G.
    Case("on the maximum", himmelblau_maximum(), rate(1e-4), "trapped", {"rest": "maximum", **NEVER}),
    Case("beside a minimum", (3.1, 1.9), rate(0.01), "converged", {"basin": 0}),
)

ON_LINE = (
    Case("descends for ever", (0.0,), rate(0.1), "unfinished", {"flag": "", "f_final": 1 - 400 * 0.4, **NEVER}),
    # f = 1 - 4e5 k
    Case("past the bound", (0.0,), rate(1e5), "diverged", {"steps": lambda p: _whole((1e6 * p["scale"] + 1) / 4e5)}),
    Case(
        "offset start, lost to rounding", (1e8,), rate(1.0), "unfinished", {"flag": ""},
        {"float32": {"flag": "rounding"}}, CONVERGED_ROUNDING,
    ),
)  # fmt: skip

# sign(0) = 0. The floor is the 2-cycle |x| + |x'| = rate; its gaps 0.04 and 0.01 must not be mistaken for a fall.
SIGNED = (
    Case("two-cycle", (0.2,), rate(0.3), "oscillating", SWINGS),
    Case("two-cycle, other phase", (-0.1,), rate(0.3), "oscillating", SWINGS),
    Case("floor from afar", (2.0,), rate(0.3), "oscillating", SWINGS),
    Case("arrives exactly", (2.0,), rate(0.25), "converged", {"settle_step": 8, "gap_final": 0.0}),
    Case("needs 20,000 steps", (2.0,), rate(1e-4), "unfinished", {"overshoots": 0, "flag": ""}),
    Case(
        "floor within tolerance", (0.00095,), rate(1e-4), "converged", {"settle_step": 9, "flag": ""},
        {"float32": {"settle_step": 0}}, "0.00095^2 is within the tolerance of float32 from the start",
    ),
)  # fmt: skip

# With b1 = b2 = 0 Adam is sign descent up to eps; otherwise it moves by at most 7.27 rates a step.
ADAM = (
    Case("floor", (2.0,), rate(0.3, b1=0.0, b2=0.0), "oscillating", SWINGS),
    Case("floor, other phase", (2.3,), rate(0.3, b1=0.0, b2=0.0), "oscillating", SWINGS),
    Case("cannot have arrived", (5.0,), rate(1e-3, b1=0.9, b2=0.999), "unfinished", {"overshoots": 0, "flag": ""}),
    Case("at the minimizer", (0.0,), rate(0.3, b1=0.9, b2=0.999), "converged", {"settle_step": 0}),
)

# L = 2, boundary rate 1 + momentum; spectral radius sqrt(momentum) below it (q < (1 + sqrt(momentum))^2).
MOMENTUM = (
    Case("below the boundary", (2.0,), rate(1.85, momentum=0.9), "converged", {"flag": ""}),
    Case("beyond the boundary", (2.0,), rate(1.95, momentum=0.9), "diverged", NEVER),
    # Gap times 0.99 a step: a third of it is lost in W, turning points or not.
    Case("swings and falls", (2.0,), rate(0.05, momentum=0.99), "unfinished", {"flag": "", **NEVER}),
    Case("without momentum", (2.0,), rate(1.0, momentum=0.0), "oscillating", {**SWINGS, "overshoots": 399}),
)

# L = 2, boundary (1 + b)/(1 + 2b) = 0.6786 at b = 0.9; radius 0.921 at rate 0.66 and 1.090 at 0.70.
NESTEROV = (
    Case("below the boundary", (2.0,), rate(0.66, momentum=0.9), "converged"),
    Case("beyond the boundary", (2.0,), rate(0.70, momentum=0.9), "diverged", NEVER),
)

TRIAL_AND_ERROR = (
    Case("on the lattice", (2.0,), {"increment": 0.1}, "converged", {"settle_step": 20}),
    # 2, 1.7, ..., 0.2, -0.1; from there 0.2 and -0.4 are worse.
    Case("stalled beside the minimum", (2.0,), {"increment": 0.3}, "trapped", {"rest": "stalled", "gap_final": 0.01}),
    Case("still going", (5.0,), {"increment": 0.001}, "unfinished", {"flag": "", **NEVER}),
)


def trap(x):
    """The heavy-ball trap of Lessard, Recht and Packard (2016): f' = 25x, x + 24, 25x - 24."""
    x = x[0]
    return jnp.where(x < 1, 12.5 * x**2, jnp.where(x < 2, 0.5 * x**2 + 24 * x - 12, 12.5 * x**2 - 24 * x + 36))


# Ends in the 3-cycle {0.6465, -1.8024, 2.1159}, whose period divides W = 60.
IN_TRAP = (Case("three-cycle", (3.3,), rate(1 / 9, momentum=4 / 9), "oscillating", SWINGS),)


def plus_million(x):
    return x[0] ** 2 + 1e6


# tol = 64 eps 1e6: 7.6 in float32, where the value moves by 1/16; 1.4e-8 in float64.
PLUS_MILLION = (
    Case("converges", (100.0,), rate(0.1), "converged", {"settle_step": settles(1e4, 0.64)}),
    Case("swings", (100.0,), rate(1.0), "oscillating", SWINGS),
    Case(
        "within resolution at once",
        (2.0,),
        rate(1.0),
        "oscillating",
        {},
        {"float32": {"outcome": "converged"}},
        "4 < 7.6",
    ),
)


def minus_thousand(x):
    return x[0] ** 2 - 1000


# tol = 64 eps 1000 = 7.6e-3 in float32. Diverged means |4 1.44^k - 1000| > 1e6 |4 - 1000| + 1000.
MINUS_THOUSAND = (
    Case("converges", (2.0,), rate(0.1), "converged", {"f_final": -1000.0, "settle_step": settles(4, 0.64)}),
    Case("swings", (2.0,), rate(1.0), "oscillating", SWINGS),
    Case("diverges", (2.0,), rate(1.1), "diverged", {"steps": _whole(math.log((996e6 + 2000) / 4) / math.log(1.44))}),
)


def unknown_minimum(x):
    return (x[0] - 0.5) ** 2


# S = G = 1. Without a known minimum, at rest is the best that can be said.
NO_MINIMUM = (
    Case("at rest", (2.0,), rate(0.1), "converged", {"flag": "unverified", "gap_final": None, **NEVER}),
    Case("swings", (2.5,), rate(1.0), "oscillating", {"flag": "", **NEVER}),
    Case("diverges", (2.5,), rate(1.1), "diverged", {"steps": _whole(math.log(1e6) / math.log(1.44)), "flag": ""}),
    Case("still falling", (2.5,), rate(1e-4), "unfinished", {"flag": ""}),
)


def tilted_wells(x):
    """Minima near -1.047 (f = -0.102) and 0.946 (f = 0.097), a maximum near 0.101."""
    return (x[0] ** 2 - 1) ** 2 / 4 + 0.1 * x[0]


# Target -0.05: only the left well has it.
ON_TARGET = (
    Case("reached and held", (-2.0,), rate(0.1), "converged", {"flag": "", "rest": ""}),
    Case("rests in the wrong well", (2.0,), rate(0.1), "trapped", {"rest": "minimum", **NEVER}),
    # Ascent from f(-1) = -0.1, below the target, up to the maximum.
    Case("reached and left", (-1.0,), rate(-0.1), "trapped", {"rest": "maximum", **NEVER}),
)


def saddle(x):
    return x[0] ** 2 + (x[1] ** 2 - 1) ** 2 / 4


ON_SADDLE = (
    Case("into the saddle", (1.0, 0.0), rate(0.1), "trapped", {"rest": "saddle", "gap_final": 0.25, **NEVER}),
    Case("past the saddle", (1.0, 1e-3), rate(0.1), "converged", {"rest": ""}),
)


def monkey_saddle(x):
    return x[0] ** 3 - 3 * x[0] * x[1] ** 2


# The Hessian diag(6x, -6x) vanishes at 0, so its signs say plateau there and saddle beside it. Along y = 0, 1/x grows
# by 3 a step at rate 1: from 1000 to 2080 at step 360, where the slope is 7e-7. From -0.002 it falls to 0 in about 185.
ON_MONKEY_SADDLE = (
    Case("on it", (0.0, 0.0), rate(1.0), "trapped", {"rest": "plateau", **NEVER}),
    Case("creeping up to it", (1e-3, 0.0), rate(1.0), "trapped", {"rest": "saddle", **NEVER}),
    Case("falling off", (-2e-3, 0.0), rate(1.0), "diverged", NEVER),
)


def minus_log(x):
    return x[0] - jnp.log(x[0])


LOGARITHM = (
    Case("converges", (2.0,), rate(0.1), "converged", {"f_final": 1.0}),
    Case("start where the value is NaN", (-1.0,), rate(0.1), "nonfinite", {"steps": 0, "g_evals": 0, **NEVER}),
    Case("start where the value is infinite", (0.0,), rate(0.1), "nonfinite", {"steps": 0, **NEVER}),
    Case("steps into the region of NaN", (2.0,), rate(5.0), "nonfinite", {"steps": 1, "g_evals": 1, **NEVER}),
)


def step_down(x):
    return 4 * jnp.tanh(x[0])


# Bounded, with its infimum -4 at infinity; the box [-1, 1] puts the bound of the distance at 2e6.
STEP_DOWN = (
    Case("runs away", (0.0,), rate(1e7), "diverged", {"steps": 1, "f_final": -4.0, **NEVER}),
    Case("saturates", (0.0,), rate(1e3), "converged", {"settle_step": 1}),
    # gap = 4 (1 - tanh |x|), about 1/(4 k): 6e-4 at the end.
    Case("creeps", (0.0,), rate(1.0), "unfinished", {"overshoots": 0, "flag": "", **NEVER}),
    Case(
        "coordinate overflows", (0.0,), rate(2e38), "diverged", {"steps": 1},
        {"float32": {"outcome": "nonfinite"}}, "8e38 is infinite in float32, though the value is -4",
    ),
)  # fmt: skip


def far_plateau(x):
    return x[0] ** 2 / (1 + x[0] ** 2)


PLATEAU = (
    Case("far out", (1e4,), rate(1.0), "trapped", {"rest": "plateau", **NEVER}),
    Case("near", (0.5,), rate(0.1), "converged", {"rest": ""}),
)


def flat_valley(x):
    return x[0] ** 2


FLAT_VALLEY = (
    Case("on its floor", (0.0, 5.0), rate(0.1), "converged", {"settle_step": 0, "rest": ""}),
    Case("into it", (2.0, 5.0), rate(0.1), "converged", {"settle_step": settles(4, 0.64)}),
)


def unbounded_swing(x):
    return x[0] ** 2 - 1e-3 * x[1]


# What is unbounded below is diverged once past the bound, else unfinished, even while one coordinate swings.
UNBOUNDED = (
    Case("one coordinate swings", (1.0, 0.0), rate(1.0), "unfinished", NEVER),
    Case("one coordinate diverges", (1.0, 0.0), rate(1.1), "diverged", NEVER),
)

GROUPS = (
    Group("parabola", "parabola", "gd", 400, ON_PARABOLA),
    Group("prime budget", "parabola", "gd", 997, _prime_cases()),
    Group("one step", "parabola", "gd", 1, ONE_STEP),
    Group("two steps", "parabola", "gd", 2, TWO_STEPS),
    Group("fifty steps", "parabola", "gd", 50, FIFTY_STEPS),
    Group("quadratic", "quadratic", "gd", 400, ON_QUADRATIC),
    Group("double well", "double_well", "gd", 400, ON_DOUBLE_WELL),
    Group("quartic", "quartic", "gd", 400, ON_QUARTIC),
    Group("himmelblau", "himmelblau", "gd", 400, ON_HIMMELBLAU),
    Group("line", "linear", "gd", 400, ON_LINE),
    Group("sign descent", "parabola", "optax/sign_sgd", 400, SIGNED),
    Group("adam", "parabola", "adam", 400, ADAM),
    Group("momentum", "parabola", "momentum", 400, MOMENTUM),
    Group("nesterov", "parabola", "nesterov", 400, NESTEROV),
    Group("trial and error", "parabola", "trial_and_error", 400, TRIAL_AND_ERROR),
    Group("trap", trap, "momentum", 600, IN_TRAP, {"minimum": 0.0}),
    Group("f* = 1e6", plus_million, "gd", 400, PLUS_MILLION, {"minimum": 1e6}),
    Group("f* = -1000", minus_thousand, "gd", 400, MINUS_THOUSAND, {"minimum": -1000.0}),
    Group("no minimum known", unknown_minimum, "gd", 400, NO_MINIMUM),
    Group("target", tilted_wells, "gd", 400, ON_TARGET, {"target": -0.05}),
    Group("saddle", saddle, "gd", 400, ON_SADDLE, {"minimum": 0.0}),
    Group("monkey saddle", monkey_saddle, "gd", 400, ON_MONKEY_SADDLE, {"minimum": -1.0}),
    Group("logarithm", minus_log, "gd", 400, LOGARITHM, {"minimum": 1.0}),
    Group("step down", step_down, "gd", 400, STEP_DOWN, {"minimum": -4.0, "box": (-1.0, 1.0)}),
    Group("plateau", far_plateau, "gd", 400, PLATEAU, {"minimum": 0.0}),
    Group("flat valley", flat_valley, "gd", 400, FLAT_VALLEY, {"minimum": 0.0}),
    Group("unbounded", unbounded_swing, "gd", 400, UNBOUNDED, {"bounded": False}),
)
