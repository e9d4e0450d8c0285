"""The verdicts in words, as plain text: page and Markdown say the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gdbench.report.rotation import Sensitivity, rotation_sensitivity
from gdbench.report.verdict import FEWEST_FAMILIES, FURTHEST, Pair, Verdict
from gdbench.report.words import MISSING, count, listing, number, percent
from gdbench.stats.bootstrap import Estimate

HEADS = ("Against", "Better on", "Worse on", "Equal on", "On problems like these", "On these problems", "p")
TWIN_HEADS = ("Optimizer", "Twins", "Converged", "Converged, rotated", "Cost, rotated")


@dataclass(frozen=True)
class VerdictBlock:
    """A verdict as text.

    Attributes:
        title: experiment and dtype.
        label: the tuning regime, and whether it was asked before the run.
        primary: whether it was.
        measured: what optimizers are compared by.
        sentence: the answer.
        remarks: what to know beside it, a sentence each.
        winner: label of the winner, "" for none.
        rows: the leader against each other optimizer, under ``HEADS``.
        twins: rotation sensitivity, under ``TWIN_HEADS``.
    """

    title: str
    label: str
    primary: bool
    measured: str
    sentence: str
    remarks: tuple[str, ...]
    winner: str
    leader: str
    rows: tuple[tuple[str, ...], ...]
    twins: tuple[tuple[str, ...], ...]


def block(verdict: Verdict) -> VerdictBlock:
    """A verdict as text."""
    told, primary = verdict.told, verdict.primary
    return VerdictBlock(
        f"{told.experiment} · {told.dtype}", f"{told.regime}, {'primary question' if primary else 'exploratory'}",
        primary, measured(verdict), sentence(verdict), tuple(remarks(verdict)), verdict.winner, verdict.leader,
        tuple(_row(verdict, pair) for pair in verdict.pairs), tuple(map(_twin, rotation_sensitivity(told))),
    )  # fmt: skip


def measured(verdict: Verdict) -> str:
    """What optimizers are compared by."""
    target = verdict.question.target
    goal = "converge" if target is None else f"reach the target {number(target)}"
    if verdict.question.measure == "success_rate":
        return f"share of the held-out descents that {goal}"
    return f"median cost to {goal}; half unsolved is unsolved"


def sentence(verdict: Verdict) -> str:
    """The answer, which claims no more than its tests do."""
    problems = len(verdict.told.places)
    where = f"{count(problems, 'problem')} of {count(verdict.families, 'family', 'families')}"
    if verdict.unsolved:
        return f"No optimizer solves any of the {where} in half of its descents."
    closest = verdict.pairs[0]
    told = closest.families if verdict.enough or closest.starts is None else closest.starts
    by = f"{_effect(verdict, told)} against {closest.other}, the closest"
    if verdict.winner:
        others = "the other" if len(verdict.pairs) == 1 else f"each of the {len(verdict.pairs)} others"
        return f"{verdict.winner} is better than {others} on problems like these ({where}): {by}."
    first = f"{verdict.leader} comes first on {where}"
    if not verdict.enough:
        return f"{first}: {by}. Fewer than {FEWEST_FAMILIES} families do not tell which is better on other problems."
    return f"No optimizer is better than all others beyond doubt. {first}, not told apart from {listing(verdict.close, 6)}."


def remarks(verdict: Verdict) -> list[str]:
    """Other weights of a gradient, who is not compared, and which problems are dropped."""
    found = []
    changed = {weight: name for weight, name in verdict.weighed.items() if name != verdict.winner}
    if changed:
        words = [f"at {weight} {name or 'no optimizer'}" for weight, name in changed.items()]
        found.append(f"The winner depends on what a gradient costs: {listing(words)}.")
    elif verdict.weighed and verdict.winner:
        found.append(f"The winner is the same at {listing(list(verdict.weighed))} evaluations a gradient.")
    if verdict.told.dropped:
        n = len(verdict.told.dropped)
        found.append(f"{count(n, 'problem')} dropped for all, since not every optimizer is made for it: "
                     f"{listing(list(verdict.told.dropped), 4)}.")  # fmt: skip
    if verdict.told.aside:
        found.append("Not compared: " + "; ".join(f"{name} ({why})" for name, why in verdict.told.aside.items()) + ".")
    return found


def _effect(verdict: Verdict, estimate: Estimate) -> str:
    """A difference with its interval: a factor of cost, or percentage points of descents solved."""
    if verdict.question.measure == "success_rate":
        value, low, high = (f"{-100 * x:+.0f}".replace("-", "−") for x in (estimate.value, estimate.high, estimate.low))
        return f"{value} points ({low} to {high})"
    value, low, high = map(_factor, estimate)
    return f"{value} × the cost ({low} – {high})"


def _factor(logarithm: float) -> str:
    """2^x for a reader; where an unsolved problem decides it only its side is known."""
    if abs(logarithm) >= FURTHEST:
        return f"< {number(2**-FURTHEST, 1)}" if logarithm < 0 else f"> {number(2**FURTHEST)}"
    return number(2**logarithm, 2)


def _row(verdict: Verdict, pair: Pair) -> tuple[str, ...]:
    p = MISSING if math.isnan(pair.p) else ("< 0.001" if pair.p < 0.001 else f"{pair.p:.3f}")
    starts = _effect(verdict, pair.starts) if pair.starts else MISSING
    families = _effect(verdict, pair.families) if verdict.enough else MISSING
    return (pair.other, *(f"{n:,}" for n in (pair.wins, pair.losses, pair.ties)), families, starts, p)


def _twin(told: Sensitivity) -> tuple[str, ...]:
    slower = MISSING if math.isnan(told.slower) else f"{number(told.slower, 2)} ×"
    return (told.optimizer, f"{told.twins:,}", percent(told.solved), percent(told.rotated), slower)
