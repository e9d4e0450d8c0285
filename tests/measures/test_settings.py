"""Measures of a grid of settings: best rate, robustness, tunability, boundary error."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

import gdbench as gd
from gdbench.contracts import OUTCOMES
from gdbench.measures.best_rate import best_rate
from gdbench.measures.boundary_error import boundary_error, errors
from gdbench.measures.robustness import robustness
from gdbench.measures.tunability import tunability

INF = math.inf


def cell(kinds, **optimizer):
    told = {"theory": None, "hyperparameters": dict.fromkeys(kinds), "defaults": {}, **optimizer}
    axes = [{"name": name, "kind": kind, "values": [0.0, 1.0]} for name, kind in kinds.items()]
    problem = {"curvature": [1.0, 4.0], "curvature_is_local": False}
    return {"axes": axes, "optimizer": told, "problem": problem}


RATE = {"learning_rate": "hyperparameter"}
TWO = RATE | {"b1": "hyperparameter"}


def grid(costs, **settings):
    """Descents [settings, starts] of these costs to converge, infinite for one that never does, in a shuffled order."""
    costs = np.array(costs, dtype=float)
    table = pd.DataFrame({name: np.repeat(values, costs.shape[1]) for name, values in settings.items()})
    flat = costs.ravel()
    table["outcome"] = pd.Categorical(np.where(np.isfinite(flat), "converged", "unfinished"), categories=list(OUTCOMES))
    table["rate"] = -0.1
    table["f_evals"] = table["hvp_evals"] = table["settle_f_evals"] = table["settle_hvp_evals"] = 0.0
    table["g_evals"], table["settle_g_evals"] = 100.0, np.where(np.isfinite(flat), flat, np.nan)
    table["start"], table["seed"] = np.tile(np.arange(costs.shape[1]), len(costs)), 0
    return table.assign(instance=0).sample(frac=1, random_state=1)


def test_best_rate_converges_most_and_then_soonest():
    frame = grid([[9, INF], [5, 7], [4, 9], [1, INF]], learning_rate=[1e-3, 1e-2, 1e-1, 1.0])
    assert best_rate.compute(frame, cell(RATE)) == 1e-2  # medians 6 and 6.5
    assert math.isnan(best_rate.compute(grid([[INF, INF]], learning_rate=[0.1]), cell(RATE)))
    assert math.isnan(best_rate.compute(frame.drop(columns="learning_rate"), cell(RATE)))


def test_robustness_is_a_share_of_settings():
    frame = grid([[1, 2], [3, INF], [INF, INF], [4, 4]], learning_rate=[0.1, 0.1, 1, 1], b1=[0.5, 0.9, 0.5, 0.9])
    assert robustness.compute(frame, cell(TWO)) == 0.75
    assert robustness.compute(frame, cell(RATE)) == 1.0  # 3 of 4, 2 of 4
    assert math.isnan(robustness.compute(frame, cell({"condition": "parameter"})))


def test_tunability_is_held_out():
    # On even starts the third is best, the default (first) costs 80; on odd ones they cost 80 and 8.
    costs = [[80, 80, 80, 80], [50, 1, 50, 1], [5, 8, 5, 8]]
    frame = grid(costs, learning_rate=[1e-3, 1e-2, 1e-1])
    usual = cell(RATE, defaults={"learning_rate": 1e-3})
    assert tunability.compute(frame, usual) == pytest.approx(1.0)
    assert tunability.compute(grid([[INF] * 4, *costs[1:]], learning_rate=[1e-3, 1e-2, 1e-1]), usual) == INF
    assert tunability.compute(grid([[INF] * 4] * 2, learning_rate=[1e-3, 1e-2]), usual) == 0.0
    # A choice that does not hold is worth less than the default.
    assert tunability.compute(grid([[8, 8], [2, 80]], learning_rate=[1e-3, 1e-2]), usual) == pytest.approx(-1.0)


def test_tunability_needs_a_default_on_the_grid_and_something_held_out():
    frame = grid([[8, 8], [2, 80]], learning_rate=[1e-3, 1e-2])
    assert math.isnan(tunability.compute(frame, cell(RATE)))
    assert math.isnan(tunability.compute(frame, cell(RATE, defaults={"learning_rate": 0.5})))
    assert math.isnan(tunability.compute(frame[frame["start"] == 0], cell(RATE, defaults={"learning_rate": 1e-3})))
    # Another hyperparameter that is held elsewhere than at its default.
    held = {"learning_rate": None, "b1": 0.5}
    away = cell(RATE, defaults={"learning_rate": 1e-3, "b1": 0.9}, hyperparameters=held)
    assert math.isnan(tunability.compute(frame, away))
    usual = cell(RATE, defaults={"learning_rate": 1e-3, "b1": 0.5}, hyperparameters=held)
    assert tunability.compute(frame, usual) == pytest.approx(-1.0)


def test_tunability_over_several_axes_and_seeds():
    frame = grid([[10, 10], [20, 20], [1, 1], [30, 30]], learning_rate=[0.1, 0.1, 1, 1], b1=[0.5, 0.9, 0.5, 0.9])
    frame = frame.assign(seed=frame["start"], start=0)
    usual = cell(TWO, defaults={"learning_rate": 0.1, "b1": 0.5})
    assert tunability.compute(frame, usual) == pytest.approx(1.0)


def lines(shares, **settings):
    """Four starts a setting, of which so many quarters settle; the others swing."""
    costs = [[5.0] * int(4 * share) + [INF] * (4 - int(4 * share)) for share in shares]
    frame = grid(costs, **settings)
    frame["outcome"] = frame["outcome"].replace({"unfinished": "oscillating"})
    return frame


GD = cell(RATE, theory="gradient_descent")  # curvature 4: stable below 0.5
RATES = [0.1, 0.2, 0.4, 0.8, 1.6]


def test_boundary_error_by_hand():
    assert errors(lines([1, 1, 0.5, 0.25, 0], learning_rate=RATES), GD) == pytest.approx([np.log10(0.32**0.5 / 0.5)])
    assert boundary_error.compute(lines([1, 1, 0, 0, 0], learning_rate=RATES), GD) == pytest.approx(
        -np.log10(0.08**0.5 / 0.5)
    )
    # All settle, or none does, though theory's boundary is in the grid: at least as far as the end.
    assert errors(lines([1] * 5, learning_rate=RATES), GD) == pytest.approx([np.log10(1.6 / 0.5)])
    assert errors(lines([0] * 5, learning_rate=RATES), GD) == pytest.approx([np.log10(0.1 / 0.5)])
    # A rate of 0 is no place on a grid of decades.
    assert len(errors(lines([1, 1, 0], learning_rate=[0.0, 0.4, 0.8]), GD)) == 1
    # Both beyond the grid: nothing is said.
    assert math.isnan(boundary_error.compute(lines([1, 1], learning_rate=[0.1, 0.2]), GD))


def test_descents_still_falling_settle_and_rising_ones_do_not():
    frame = grid([[INF] * 4] * 5, learning_rate=RATES)
    frame["rate"] = np.where(frame["learning_rate"] < 0.5, -0.1, 0.1)
    assert errors(frame, GD) == pytest.approx([np.log10(0.32**0.5 / 0.5)])


def test_each_value_of_another_axis_has_its_boundary():
    both = list(itertools.product([1.0, 40.0], RATES))
    settings = {"condition": [c for c, _ in both], "learning_rate": [r for _, r in both]}
    # 2/1 and 2/40: beyond the grid above and below.
    kinds = cell(RATE | {"condition": "parameter"}, theory="gradient_descent")
    assert len(errors(lines([1] * 5 + [0] * 5, **settings), kinds)) == 0
    found = errors(lines([1, 1, 1, 1, 0] + [1, 0, 0, 0, 0], **settings), kinds)
    assert found == pytest.approx([np.log10((0.8 * 1.6) ** 0.5 / 2), np.log10((0.1 * 0.2) ** 0.5 / 0.05)])
    other = cell(RATE | {"noise": "parameter"}, theory="gradient_descent")
    assert math.isnan(boundary_error.compute(lines([1] * 5, learning_rate=RATES).assign(noise=1.0), other))


@pytest.mark.parametrize("change", [{"curvature": None}, {"curvature_is_local": True}])
def test_no_exact_theory_no_error(change):
    frame = lines([1, 1, 1, 0, 0], learning_rate=RATES)
    assert math.isnan(boundary_error.compute(frame, GD | {"problem": GD["problem"] | change}))
    assert math.isnan(boundary_error.compute(frame, cell(RATE)))


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["gd", "momentum"])
def test_measured_boundaries_lie_at_theorys(optimizer):
    momentum = {"momentum": [0.0, 0.5, 0.8]} if optimizer == "momentum" else {}
    found = gd.sweep(
        gd.problem("quadratic", dim=2, condition=10), optimizer, learning_rate=gd.log_axis(0.02, 2.0, 41), steps=400,
        starts=gd.starts("sobol", 4), dtype="float64", **momentum,
    )  # fmt: skip
    own, frame = found.results.cells[0], found.results.table()
    assert len(errors(frame, own)) == (3 if momentum else 1)
    assert np.abs(errors(frame, own)).max() <= 0.05  # the step of the grid
    assert boundary_error.compute(frame, own) <= 0.05
