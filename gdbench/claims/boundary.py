"""Where does a larger learning rate cease to work, and is that where theory says?"""

from __future__ import annotations

import numpy as np

from gdbench.claims.base import Asked, Evidence, Rule, Setting, label, share_of
from gdbench.figures.choose import axes_of, failed, floats, keep
from gdbench.figures.choose import known as known_values
from gdbench.measures.base import CONVERGED
from gdbench.theory.of_cell import known_of

RATE = "learning_rate"


def _weigh(asked: Asked) -> list[Evidence]:
    found = []
    for cell in asked.cells:
        known = known_of(cell, {})
        if RATE not in axes_of(cell) or known is None or cell["problem"]["curvature_is_local"]:
            continue
        edge = float(known.boundary())
        frame = asked.table(cell, "outcome", "settle_step")
        rate, settled = frame[RATE].to_numpy(float), known_values(frame, "settle_step")
        rates = np.unique(rate)
        settles, leaves = (
            np.array([ended[rate == value].mean() for value in rates]) for ended in (settled, failed(frame))
        )
        good, lost = np.flatnonzero(settles >= 0.5), np.flatnonzero(leaves >= 0.5)
        if not len(lost) or not (good < lost[0]).any():
            continue
        # Close to the boundary a budget does not tell: a descent neither arrives nor leaves.
        low, high = float(rates[good[good < lost[0]][-1]]), float(rates[lost[0]])
        # A float32 axis holds rounded rates. A rate that works beyond one that does not: there is no one boundary.
        holds = bool(low * (1 - 1e-6) <= edge <= high * (1 + 1e-6) and good[-1] < lost[0])
        found.append(Evidence(f"at {edge:.4g} for {label(cell)}", f"{label(cell)}: theory {edge:.4g}",
                              float(np.sqrt(low * high)), low, high, holds))  # fmt: skip
    return found


RULE = Rule(
    name="boundary",
    number="stability boundary, between the last rate that settles and the first that diverges",
    decides=(
        "Theory's stability boundary (2/L for gradient descent) lies between the last learning rate of the grid at "
        "which half of the descents settle and the first at which half of them diverge, beyond which none settles."
    ),
    weigh=_weigh,
)


def _weigh_sides(asked: Asked) -> list[Evidence]:
    """The share that converges on either side of theory's boundary, over everything that varies."""
    sides: dict[str, list[np.ndarray]] = {}
    for cell in asked.cells:
        frame = asked.table(cell, "outcome", "settle_step")
        # What starts at a minimizer stays there at any rate.
        frame = keep(frame, ~(floats(frame, "settle_step") == 0))
        if asked.settings["learning_rate"] is not None:
            frame = keep(frame, np.isclose(floats(frame, RATE), asked.settings["learning_rate"], rtol=1e-6))
        if frame.empty:
            continue
        axes = [a["name"] for a in cell["axes"] if a["kind"] in ("parameter", "hyperparameter")]
        at = {name: frame[name].to_numpy(float) for name in axes if len(np.unique(frame[name])) > 1}
        known = known_of(cell, at)
        if known is None or cell["problem"]["curvature_is_local"]:
            continue
        edge = np.broadcast_to(known.boundary(), (len(frame),))
        rate, arrived = frame[RATE].to_numpy(float), frame["outcome"].to_numpy() == CONVERGED
        # On the boundary itself rounding decides.
        for name, side in (("below", rate < edge * (1 - 1e-6)), ("above", rate > edge * (1 + 1e-6))):
            if side.any():
                sides.setdefault(name, []).append(arrived[side])
    converge, chosen = asked.settings["converge"], asked.settings["side"]
    return [
        Evidence(WORDS[name], f"share that converges where {WORDS[name]}", *share_of(arrived),
                 holds=bool(arrived.all() if converge else not arrived.any()))
        for name, parts in sides.items() if chosen in ("both", name) for arrived in [np.concatenate(parts)]
    ]  # fmt: skip


WORDS = {"below": "the rate is below 2/L", "above": "the rate is above 2/L"}

SIDES = Rule(
    name="sides-of-boundary",
    number="share that converges",
    decides=(
        "Every descent on this side of theory's stability boundary (2/L for gradient descent) converges; or none, "
        "where the claim says that they do not."
    ),
    weigh=_weigh_sides,
    settings={
        "side": Setting((str,), "which side is looked at", "both", ("both", "below", "above")),
        "converge": Setting((bool,), "whether descents are said to converge", True),
        "learning_rate": Setting((float,), "look at this learning rate alone", optional=True),
    },
)
