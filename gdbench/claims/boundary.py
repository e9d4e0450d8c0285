"""Where does a larger learning rate cease to work, and is that where theory says?"""

from __future__ import annotations

import numpy as np

from gdbench.claims.base import Asked, Evidence, Rule, Setting, label, rates_of, share_of
from gdbench.measures.base import CONVERGED
from gdbench.theory.of_cell import known_of

RATE = "learning_rate"


def _weigh(asked: Asked) -> list[Evidence]:
    found = []
    for cell in asked.cells:
        rates, known = rates_of(cell, RATE), known_of(cell, {})
        if rates is None or known is None or cell["problem"]["curvature_is_local"]:
            continue
        edge = float(known.boundary())
        frame = asked.table(cell, "outcome", "settle_step")
        rate, settles = frame[RATE].to_numpy(float), frame["settle_step"].notna().to_numpy()
        share = np.array([settles[rate == value].mean() for value in np.unique(rate)])
        good = share >= 0.5
        if not good.any() or good.all() or not (rates[0] < edge < rates[-1]):
            continue
        last = int(np.flatnonzero(good)[-1])
        if last == len(rates) - 1:
            continue
        low, high = rates[last], rates[last + 1]
        # A float32 axis holds rounded rates.
        holds = bool(low * (1 - 1e-6) <= edge <= high * (1 + 1e-6))
        found.append(Evidence("at 2/L", f"{label(cell)}: last rate that settles, theory {edge:.4g}",
                              float(np.sqrt(low * high)), low, high, holds))  # fmt: skip
        beyond = rate > edge * (1 + 1e-6)
        arrived = frame["outcome"].to_numpy()[beyond] == CONVERGED
        found.append(Evidence("above 2/L", f"{label(cell)}: share that converges above theory's boundary",
                              *share_of(arrived), holds=not arrived.any()))  # fmt: skip
    return found


RULE = Rule(
    name="boundary",
    number="largest learning rate that settles (between two of the grid)",
    decides=(
        "Theory's stability boundary (2/L for gradient descent) lies between the last learning rate at which half of "
        "the descents settle and the next one of the grid, and above it no descent converges."
    ),
    weigh=_weigh,
)


def _weigh_sides(asked: Asked) -> list[Evidence]:
    """The share that converges on either side of theory's boundary, over everything that varies."""
    sides: dict[str, list[np.ndarray]] = {}
    for cell in asked.cells:
        frame = asked.table(cell, "outcome")
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
    words = {"below": "the rate is below 2/L", "above": "the rate is above 2/L"}
    return [
        Evidence(words[name], f"share that converges, {words[name]}", *share_of(arrived), holds=bool(arrived.all()))
        for name, parts in sides.items() for arrived in [np.concatenate(parts)]
    ]  # fmt: skip


SIDES = Rule(
    name="both-sides",
    number="share that converges",
    decides="Every descent converges on this side of theory's stability boundary (2/L for gradient descent).",
    weigh=_weigh_sides,
    settings={"axis": Setting((str,), "the axis of the rate", RATE)},
)
