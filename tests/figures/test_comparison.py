"""Comparisons over problems: what is chosen where, who is compared, and that all meet the same descents."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gdbench.figures.comparison import comparison, upper_median
from gdbench.figures.regimes import BEST, DEFAULT, ONE, one_for_all
from gdbench.measures.base import default_setting

COLUMNS = ["learning_rate", "_converged", "_cost", "_value"]


def ranked(*rows):
    return pd.DataFrame(rows, columns=COLUMNS)


def change(cell, frame, **facts):
    """A cell with other facts of its optimizer or itself."""
    optimizer = {**cell["optimizer"], **facts.pop("optimizer", {})}
    new = {**cell, **facts, "optimizer": optimizer}
    new["id"] = f"{new['experiment']}/{new['problem']['label']}/{optimizer['label']}"
    return new, frame.assign(cell=new["id"])


@pytest.fixture
def pool(build):
    """Three rules on two problems, sixteen starts."""
    problems = [build.quadratic(), build.parabola()]
    return [build.cell(p, rule, {"learning_rate": build.rates}, 16) for p in problems for rule in ("gd", "heavy_ball")]


def test_held_out_descents_at_the_setting_chosen_on_the_others(build, pool):
    told = comparison(build.run(pool), "regions", "float64", BEST)
    assert told.optimizers == ("gd", "heavy_ball") and [place.label for place in told.places] == [
        "quadratic", "shifted_parabola"
    ]  # fmt: skip
    frame = pool[0][1]
    held = told.held[0][0]
    rate = held.setting["learning_rate"]
    mine = frame[np.isclose(frame["learning_rate"], rate) & (frame["start"] % 2 == 1)]
    assert held.pair[:, 1].tolist() == sorted(mine["start"]) == list(range(1, 16, 2))
    expected = np.where(mine["outcome"] == "converged", mine["settle_g_evals"], np.inf)
    np.testing.assert_array_equal(told.costs()[0][0], expected)
    np.testing.assert_array_equal(told.costs(gradient="dimension")[0], 2 * told.costs()[0])
    assert told.typical().shape == told.solved().shape == (2, 2) and told.evaluated


def test_no_choice_is_made_on_what_is_judged(build, pool):
    cell, frame = pool[0]
    before = comparison(build.run(pool), "regions", "float64", BEST).held[0][0].setting
    # Odd starts all diverge at the rate that was chosen: the choice must not notice.
    hit = np.isclose(frame["learning_rate"], before["learning_rate"]) & (frame["start"] % 2 == 1)
    frame = frame.assign(outcome=frame["outcome"].where(~hit, "diverged"))
    told = comparison(build.run([(cell, frame), *pool[1:]]), "regions", "float64", BEST)
    assert told.held[0][0].setting == before and np.isinf(told.costs()[0][0]).all()


def test_one_setting_serves_all(build, pool):
    told = comparison(build.run(pool), "regions", "float64", ONE)
    for k in range(2):
        assert told.held[0][k].setting == told.held[1][k].setting


def test_one_for_all_by_share_then_cost_then_value():
    a = ranked((0.1, 1.0, 10, 0), (0.2, 1.0, 100, 0), (0.3, 0.5, 1, 0))
    b = ranked((0.2, 1.0, 10, 0), (0.1, 1.0, 400, 0), (0.3, 0.5, 1, 0))
    # 0.2 costs 100 and 10 times the cheapest, 0.1 costs 10 and 400 times.
    assert one_for_all([a, b]) == {"learning_rate": 0.2}
    nothing = ranked((0.1, 0.0, np.inf, 5.0), (0.2, 0.0, np.inf, 3.0))
    assert one_for_all([nothing]) == {"learning_rate": 0.2}
    assert one_for_all([a, ranked((0.7, 1.0, 1, 0))]) is None
    assert one_for_all([pd.DataFrame()]) is None


def test_a_default_must_lie_on_the_grid(build, pool):
    cell = pool[0][0]
    assert default_setting(cell) is None
    there = {**cell["optimizer"], "defaults": {"learning_rate": float(np.float32(cell["axes"][0]["values"][3]))}}
    assert default_setting({**cell, "optimizer": there}) == {"learning_rate": cell["axes"][0]["values"][3]}


def test_without_a_default_an_optimizer_is_set_aside(build, pool):
    told = comparison(build.run(pool), "regions", "float64", DEFAULT)
    assert told.optimizers == () and set(told.aside) == {"gd", "heavy_ball"}
    assert told.typical().shape == (0, 0)


def test_a_failed_cell_is_unsolved_and_a_refused_one_drops_its_problem(build, pool):
    cell, frame = pool[1]
    failed = ({**cell, "failed": "boom"}, frame.iloc[:0])
    told = comparison(build.run([pool[0], failed, *pool[2:]]), "regions", "float64", BEST)
    assert told.optimizers == ("gd", "heavy_ball")
    assert np.isinf(told.costs()[0][1]).all() and told.costs()[0].shape == (2, 8)
    refused = ({**cell, "failed": "not made for it", "refused": True}, frame.iloc[:0])
    told = comparison(build.run([pool[0], refused, *pool[2:]]), "regions", "float64", BEST)
    assert told.dropped == ("quadratic",) and [place.label for place in told.places] == ["shifted_parabola"]


def test_oracles_and_second_names_of_a_rule_are_set_aside(build, pool):
    oracle = [change(*pair, optimizer={"label": "told", "family": "oracle"}) for pair in pool[::2]]
    named = [change(*pair, optimizer={"rule": "plain"}) for pair in pool[::2]]
    again = [change(*pair, optimizer={"label": "again", "rule": "plain"}) for pair in pool[::2]]
    told = comparison(build.run([*named, *oracle, *again, *pool[1::2]]), "regions", "float64", BEST)
    assert told.optimizers == ("gd", "heavy_ball")
    assert told.aside == {"told": "oracle: it is told the minimum", "again": "the same rule as gd"}


def test_a_descent_that_is_not_stored_is_unsolved(build, pool):
    cell, frame = pool[0]
    cut = frame[frame["start"] != 3]
    told = comparison(build.run([(cell, cut), *pool[1:]]), "regions", "float64", BEST)
    costs = told.costs()[0]
    assert costs.shape == (2, 8) and np.isinf(costs[0, 1]) and np.isfinite(costs[0, [0, 2]]).all()


def test_a_deterministic_descent_stands_for_each_seed_of_the_others(build, pool):
    cell, frame = pool[1]
    seeds = pd.concat([frame.assign(seed=s, settle_g_evals=frame["settle_g_evals"] + s) for s in range(4)])
    noisy = {**cell, "axes": [*cell["axes"], {"name": "seed", "kind": "seed", "values": [0, 1, 2, 3], "scale": "list"}]}
    told = comparison(build.run([pool[0], (noisy, seeds)]), "regions", "float64", BEST)
    held = told.held[0]
    assert sorted(set(map(tuple, held[0].pair[:, 1:].tolist()))) == [(a, b) for a in range(1, 16, 2) for b in (1, 3)]
    first = told.costs()[0][0].reshape(8, 2)
    np.testing.assert_array_equal(first[:, 0], first[:, 1])


def test_half_unsolved_is_unsolved():
    assert upper_median(np.array([1.0, 2.0, np.inf, np.inf])) == np.inf
    assert upper_median(np.array([1.0, 2.0, 3.0, np.inf])) == 3.0
    assert upper_median(np.array([3.0, 1.0, 2.0])) == 2.0
