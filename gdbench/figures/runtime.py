"""Figure 9: how much does it cost to reach a target?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from pandas import DataFrame

from gdbench.figures.base import Figure, Results
from gdbench.figures.choose import floats
from gdbench.figures.comparison import Comparison, comparison
from gdbench.figures.over_problems import BANDS, attributes, generator, over_families, regime_cases, shown
from gdbench.figures.regimes import BEST
from gdbench.figures.scale import tick_plain
from gdbench.figures.steps import draw_steps, percent, side_legend
from gdbench.figures.style import belongs, number
from gdbench.stats.runtime import attained, expected_running_time, simulated_restarts

RESTARTED = 100
"""Simulated running times for each problem and target."""

POINTS = 160
"""Costs at which the distribution is drawn."""

BEYOND = 10.0
"""How many budgets the axis shows: what lies beyond one is due to restarts."""

MOST_PROBLEMS = 30

SHARE, ERT = "share of targets reached", "expected running time"


def cases(results: Results) -> list[dict[str, Any]]:
    """One a comparison and regime in which a target was reached, and the expected running times at the best settings.

    There must be more than one problem or target.
    """
    found = []
    for case in regime_cases(results):
        told = comparison(results, **case)
        # The cost to converge on one problem stands in its answer table.
        enough = len(told.places) > 1 or told.targets
        if enough and any(np.isfinite(cost).any() for cost in reached(told)):
            found.append({**case, "number": SHARE})
            found += [{**case, "number": ERT}] if case["regime"] == BEST and len(told.places) > 1 else []
    return found


def data(results: Results, experiment: str, dtype: str, regime: str, number: str) -> DataFrame:
    """Running times to targets: those recorded, else convergence as the only one.

    Args:
        results: a run.
        experiment: name of the experiment.
        dtype: 'float32' or 'float64'.
        regime: tuning regime.
        number: "share of targets reached", or "expected running time".

    Returns:
        A row an optimizer and cost: ``optimizer``, ``cost``, ``share`` (of (problem, target) pairs reached within it by
        a descent that is restarted from other starts until it succeeds), ``low``, ``high`` (95% over families of
        problems), ``budget`` (the most that a descent spent) and ``unsolved`` (share of descents and targets not
        reached). Or a row an optimizer and problem: ``optimizer``, ``problem``, ``cost`` (expected, to the last target;
        infinite if never reached), ``successes``, ``descents``.
    """
    told = comparison(results, experiment, dtype, regime)
    costs = reached(told)
    missed = np.mean([np.isinf(cost).mean(axis=(1, 2)) for cost in costs], axis=0)
    spent = [np.stack([held.spent @ told.weight(i) for held in row]) for i, row in enumerate(told.held)]
    # Of those that miss as many the cheaper ones come first.
    dear = np.mean([np.log(np.clip(cost, 1e-3, 1e12)).mean(axis=(1, 2)) for cost in costs], axis=0)
    kept = shown(-missed - 1e-6 * dear)
    if number == ERT:
        frame = _expected(told, kept, costs, spent)
    else:
        frame = _distribution(told, kept, costs, spent, missed)
    title = number if number == ERT else ""
    frame.attrs |= attributes(results, told, kept, title) | {"number": number, "targets": told.targets}
    return frame


def reached(told: Comparison) -> list[np.ndarray]:
    """Cost at which each target was reached, [optimizers, n, targets] a place; infinite where it was not."""
    if not told.targets:
        return [cost[..., None] for cost in told.costs()]
    each = [told.costs(target=i) for i in range(len(told.targets))]
    return [np.stack(place, axis=-1) for place in zip(*each, strict=True)]


def _distribution(
    told: Comparison, kept: list[int], costs: list[np.ndarray], spent: list[np.ndarray], missed: np.ndarray
) -> DataFrame:
    """Share of pairs reached by each cost of a logarithmic grid, under simulated restarts."""
    budget = np.max([own.max(axis=1) for own in spent], axis=0)
    finite = np.concatenate([cost[np.isfinite(cost) & (cost > 0)] for cost in costs])
    left = float(np.min(finite, initial=np.inf))
    left = left if np.isfinite(left) else 1.0
    right = BEYOND * max(float(budget.max()), float(np.max(finite, initial=left)))
    at = np.geomspace(left, right, POINTS)
    rng, shares = generator(), np.zeros((len(costs), len(kept), POINTS))
    for i, (cost, own) in enumerate(zip(costs, spent, strict=True)):
        for j, k in enumerate(kept):
            shares[i, j] = attained(simulated_restarts(cost[k], own[k], rng, RESTARTED), at)
    share, low, high = over_families(shares, told.families)
    parts = [
        {"optimizer": told.optimizers[k], "cost": at, "share": share[j], "low": low[j], "high": high[j],
         "budget": budget[k], "unsolved": missed[k]} for j, k in enumerate(kept)
    ]  # fmt: skip
    return pd.concat([DataFrame(part) for part in parts], ignore_index=True)


def _expected(told: Comparison, kept: list[int], costs: list[np.ndarray], spent: list[np.ndarray]) -> DataFrame:
    """Expected running time to the last target of each problem, of the first ``MOST_PROBLEMS`` of them."""
    last = int(np.argmin(told.targets)) if told.targets else 0
    rows = [
        {"optimizer": told.optimizers[k], "problem": place.title,
         "cost": float(expected_running_time(cost[k, :, last], own[k])),
         "successes": int(np.isfinite(cost[k, :, last]).sum()), "descents": cost.shape[1]}
        for k in kept for place, cost, own in zip(told.places[:MOST_PROBLEMS], costs, spent, strict=False)
    ]  # fmt: skip
    frame = DataFrame(rows)
    frame.attrs["left out"] = max(len(told.places) - MOST_PROBLEMS, 0)
    return frame


def draw(ax: Axes, frame: DataFrame) -> None:
    """A distribution in steps, or a line of marks for each problem."""
    if frame.attrs["number"] == ERT:
        _draw_expected(ax, frame)
        return
    draw_steps(ax, frame, "cost")
    texts = {}
    for label, group in frame.groupby("optimizer", sort=False, observed=True):
        style, budget = frame.attrs["styles"][label], group["budget"].iloc[0]
        # The step that holds at the budget.
        height = group["share"].iloc[max(np.searchsorted(group["cost"], budget, side="right") - 1, 0)]
        mark: dict[str, Any] = {"marker": "x", "ms": 7, "mew": 1.8, "color": style["color"], "ls": "none"}
        belongs(ax.plot(budget, height, zorder=5, gid="budget", **mark), str(label))
        texts[str(label)] = f"{label}, {percent(group['unsolved'].iloc[0])}"
    side_legend(ax, texts, frame, "unsolved (×: budget)")
    ax.set_xscale("log")
    targets = frame.attrs["targets"]
    what = f"{len(targets)} targets, τ {number(max(targets))} to {number(min(targets))}" if targets else "convergence"
    ax.set(xlim=(frame["cost"].min(), frame["cost"].max()), xlabel=f"cost to reach: {what}", ylabel=SHARE)
    tick_plain(ax.xaxis)


def _draw_expected(ax: Axes, frame: DataFrame) -> None:
    """Problems below each other, a mark an optimizer; what was never reached stands at the right edge."""
    problems, labels = (list(dict.fromkeys(frame[name])) for name in ("problem", "optimizer"))
    cost = floats(frame, "cost")
    finite = cost[np.isfinite(cost) & (cost > 0)]
    low, high = (finite.min(), finite.max()) if len(finite) else (1.0, 10.0)
    # A logarithmic axis has no place for a start at the minimizer, which cost nothing.
    cost = np.maximum(cost, low)
    never = high * max((high / low) ** 0.12, 1.5)
    spread = np.linspace(-0.25, 0.25, len(labels)) if len(labels) > 1 else [0.0]
    for label, shift in zip(labels, spread, strict=True):
        mine, colour = frame["optimizer"].to_numpy() == label, frame.attrs["styles"][label]["color"]
        for problem, spent in zip(frame["problem"][mine], cost[mine], strict=True):
            row = problems.index(problem) + shift
            if np.isfinite(spent):
                mark = ax.plot(spent, row, ls="none", marker="D", ms=4.5, mew=0, color=colour, gid="expected")
            else:
                mark = ax.plot(never, row, ls="none", marker=">", ms=4.5, mfc="none", color=colour, gid="never")
            belongs(mark, label, problem=frame.attrs["problems"][problem])
    ax.axvline(never / max((high / low) ** 0.05, 1.2), color="0.6", lw=0.7, ls=":")
    ax.set_xscale("log")
    ax.set(xlim=(low / 1.3, never * 1.3), ylim=(len(problems) - 0.4, -0.6))
    ax.set_yticks(range(len(problems)), problems, fontsize=8 if len(problems) <= 12 else 5.5)
    for problem, text in zip(problems, ax.get_yticklabels(), strict=True):
        belongs(text, problem=frame.attrs["problems"][problem])
    ax.grid(axis="y", lw=0.4, color="0.9")
    targets = frame.attrs["targets"]
    left_out = frame.attrs["left out"]
    more = f"\n(and {left_out} problems more)" if left_out else ""
    ax.set_xlabel(f"expected cost to {f'τ {number(min(targets))}' if targets else 'converge'} (right: never){more}")
    side_legend(ax, {label: label for label in labels}, frame, "")
    tick_plain(ax.xaxis)


FIGURE = Figure(
    name="runtime",
    number=9,
    question="How much does it cost to reach a target?",
    caption=(
        "The share of (problem, target) pairs that are reached within a cost = evaluations of f + gradients + 2 x "
        f"Hessian-vector products. A held-out descent that fails is restarted from another start ({RESTARTED} "
        "simulated runs for each pair); what failed attempts spent counts. × marks the most that one descent spent: "
        "beyond it a curve rests on restarts. Targets are f* + τ S (on BBOB f* + τ) as recorded by the suite; where "
        "none are, convergence is the only one. The legend prints the share of descents and targets not reached: "
        f"they are counted, never left out. {BANDS} Expected running time: the cost of all descents up to success or "
        "their end over the number of successes, to the last target (Hansen et al., COCO, Optimization Methods and "
        "Software 36 (2021) 114)."
    ),
    cases=cases,
    data=data,
    draw=draw,
    panel=(5.0, 3.3),
    columns=2,
)
