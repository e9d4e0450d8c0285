"""Running times against cocopp's on the same data, closed forms and a plain simulation."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdbench.stats.runtime import (
    attained,
    attained_band_over_units,
    expected_running_time,
    simulated_restarts,
)
from tests.stats.drawn import QUICK

INF = np.inf
COSTS, SPENT = np.array([30.0, INF, 10.0, INF]), np.array([100.0, 200.0, 100.0, 50.0])

COCOPP = """
import json, sys, warnings
import numpy as np
warnings.simplefilter("ignore")
from cocopp import toolsstats
costs, spent = (np.array(x) for x in json.load(sys.stdin))
solved = np.isfinite(costs)
ert = float(toolsstats.sp(np.where(solved, costs, spent), issuccessful=solved)[0])
np.random.seed(1)
runs = np.concatenate([costs[solved], spent[~solved]])
print(json.dumps([ert, list(map(float, toolsstats.simulated_evals(runs, int((~solved).sum()), 20000)))]))
"""


def test_expected_running_time_by_hand():
    assert expected_running_time(COSTS, SPENT) == (30 + 10 + 200 + 50) / 2
    assert expected_running_time(np.full(3, INF), np.ones(3)) == INF
    table = np.stack([COSTS, np.full(4, INF), np.full(4, 5.0)], axis=1)
    assert expected_running_time(table, SPENT[:, None], axis=0).tolist() == [145.0, INF, 5.0]


@pytest.mark.slow
def test_running_times_agree_with_cocopp():
    rng = np.random.default_rng(0)
    costs, spent = np.where(rng.random(12) < 0.4, rng.exponential(100, 12).round() + 1, INF), np.full(12, 400.0) + 7
    # In a process of its own: on import it seeds NumPy, sets up matplotlib and asks for its archive on the network.
    given = json.dumps([costs.tolist(), spent.tolist()])
    told = subprocess.run([sys.executable, "-c", COCOPP], input=given, capture_output=True, text=True)
    if "ModuleNotFoundError" in told.stderr:
        pytest.skip("needs the extra oracles (cocopp, and six, which it imports)")
    ert, theirs = json.loads(told.stdout)
    assert expected_running_time(costs, spent) == pytest.approx(ert)
    ours = simulated_restarts(costs, spent, rng, 20_000)
    assert ours.mean() == pytest.approx(ert, rel=0.03) == np.mean(theirs)
    at = np.quantile(theirs, np.linspace(0.05, 0.95, 19))
    np.testing.assert_allclose(attained(ours, at), attained(theirs, at), atol=0.02)


def test_restarts_have_the_distribution_of_a_plain_simulation():
    rng, plain = np.random.default_rng(1), []
    for _ in range(4000):
        time = 0.0
        while True:
            i = rng.integers(4)
            if np.isfinite(COSTS[i]):
                break
            time += SPENT[i]
        plain.append(time + COSTS[i])
    ours = simulated_restarts(COSTS, SPENT, rng, 4000)
    at = np.array([10, 30, 60, 80, 110, 160, 210, 230, 300, 500])
    np.testing.assert_allclose(attained(ours, at), attained(plain, at), atol=0.04)


def test_a_success_in_every_run_needs_no_restart():
    times = simulated_restarts(np.array([[1.0, INF], [3.0, INF]]), np.array([9.0, 9.0]), np.random.default_rng(0), 500)
    assert set(times[:, 0]) == {1.0, 3.0} and np.isinf(times[:, 1]).all()


@QUICK
@given(
    st.lists(st.sampled_from([1.0, 5.0, 70.0, INF]), min_size=1, max_size=8), st.integers(0, 5)
)  # fmt: skip
def test_expected_running_time_is_the_mean_of_restarts(costs, seed):
    costs, spent = np.array(costs), np.random.default_rng(seed).uniform(1, 50, len(costs))
    ert = expected_running_time(costs, spent)
    times = simulated_restarts(costs, spent, np.random.default_rng(seed), 4000)
    if np.isinf(ert):
        assert np.isinf(times).all()
    else:
        assert abs(times.mean() - ert) <= 5 * times.std() / np.sqrt(4000) + 1e-9


@QUICK
@given(st.permutations(range(4)))
def test_order_of_runs_does_not_change_the_expected_running_time(order):
    assert expected_running_time(COSTS[order], SPENT[order]) == expected_running_time(COSTS, SPENT)


def test_attained_by_hand():
    times = np.array([[1.0, 2.0], [2.0, INF]])
    assert attained(times, np.array([0.5, 1.0, 2.0, 1e9])).tolist() == [0.0, 0.25, 0.75, 0.75]


AT = np.geomspace(1, 1e4, 30)


def problems(count, runs=10, targets=8, seed=0):
    """Later targets are reached more seldom and at higher cost."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(count):
        costs = np.cumsum(rng.exponential(20, (runs, targets)), axis=1) + 1
        found.append((np.where(costs < 150, costs, INF), np.full(runs, 150.0)))
    return found


@pytest.mark.parametrize("restarts", [True, False])
def test_band_of_attained_targets(restarts):
    runs = problems(4)
    found = attained_band_over_units(runs, AT, np.random.default_rng(0), restarts, resamples=300)
    assert (np.diff(found.value) >= 0).all() and (found.low <= found.value).all() and (found.value <= found.high).all()
    assert (found.low >= 0).all() and (found.high <= 1).all() and (found.high - found.low).max() > 0.02
    plain = np.mean([attained(costs, AT) for costs, _ in runs], axis=0)
    if restarts:
        # Up to the budget of a run restarts change nothing but where a failed run ended before it.
        assert (found.value >= plain - 0.03).all() and found.value[-1] > plain[-1] + 0.05
    else:
        np.testing.assert_allclose(found.value, plain)
        # The mean of attained shares has the spread of means over runs, by Rubin's weights n/(n + 1) of its square.
        each = [(costs[:, :, None] <= AT).mean(axis=1) for costs, _ in runs]
        spread = np.sqrt(sum(e.var(axis=0) / (len(e) + 1) for e in each)) / len(each)
        busy = spread > 0.02
        assert busy.any()
        np.testing.assert_allclose((found.high - found.low)[busy], 2 * 1.96 * spread[busy], rtol=0.25)


def test_problems_weigh_the_same_however_many_runs_they_have():
    solved, unsolved = (np.full((2, 3), 5.0), np.full(2, 9.0)), (np.full((40, 3), INF), np.full(40, 9.0))
    found = attained_band_over_units([solved, unsolved], AT, np.random.default_rng(0), resamples=20)
    assert found.value[-1] == found.low[-1] == found.high[-1] == 0.5


@pytest.mark.slow
def test_band_over_units_covers_the_truth():
    rng, hits = np.random.default_rng(2), []
    at = np.array([20.0, 60.0, 120.0, 300.0, 600.0])
    # The truth by very many runs of the same make.
    truth = attained(simulated_restarts(*problems(1, runs=20_000, seed=1)[0], rng, 5000), at)
    for i in range(80):
        one = problems(3, runs=12, seed=100 + i)
        found = attained_band_over_units(one, at, rng, resamples=200)
        hits.append((found.low <= truth) & (truth <= found.high))
    covered = np.mean(hits, axis=0)  # nominal 0.95; of 12 runs a problem a little less
    assert (covered >= 0.82).all() and 0.87 <= covered.mean() <= 0.99
