import dataclasses

import numpy as np
import pandas as pd
import pytest

from gdbench.figures import dimension

DIMS = (1, 2, 4, 8, 16)


@pytest.fixture(scope="module")
def grown(build):
    """A rule that costs 3 n + 2 evaluations, one of 5 2^n that fails from n = 16 on, a cell of another problem."""

    def cell(n, label, cost, lost=False, name="bowl"):
        made, frame = build.cell(
            build.quadratic(), "gd", {"learning_rate": [0.05, 0.1]}, num_starts=4, experiment=label
        )
        problem = {**made["problem"], "name": name, "dim": n, "settings": {"dim": n}, "parameters": {"condition": 3.0}}
        rate = frame["learning_rate"].to_numpy()
        # The smaller rate is twice as dear, so the other one is chosen; later starts cost a little more.
        spent = cost * np.where(rate < 0.07, 2.0, 1.0) + frame["start"].to_numpy() // 2
        words = pd.Categorical(["diverged" if lost else "converged"] * len(frame), frame["outcome"].cat.categories)
        identity = f"{name}{n}{label}"
        frame = frame.assign(settle_g_evals=spent, g_evals=2 * spent, outcome=words, cell=identity)
        return {**made, "id": identity, "problem": problem, "optimizer": {**made["optimizer"], "label": label}}, frame

    pairs = [cell(n, "linear", 3 * n + 2) for n in DIMS]
    pairs += [cell(n, "doubling", 5 * 2**n, lost=n == 16) for n in DIMS]
    return build.run([*pairs, cell(3, "linear", 1, name="other")])


def frame_of(results):
    (case,) = dimension.cases(results)
    return dimension.data(results, **case)


def test_cells_of_one_problem_are_put_together_whatever_their_experiment(grown):
    assert dimension.cases(grown) == [
        {"problem": "bowl (condition=3)", "dtype": "float64", "experiments": ["linear", "doubling"], "measure": "cost"}
    ]
    frame = frame_of(grown)
    assert frame.groupby("optimizer", sort=False)["dim"].apply(list).to_dict() == {
        "linear": list(DIMS),
        "doubling": list(DIMS),
    }


def test_the_cost_is_that_of_the_best_setting_on_held_out_starts(grown):
    line = frame_of(grown).query("optimizer == 'linear'")
    # Odd starts 1 and 3: the second costs one evaluation more; of two values the median is the lower one.
    assert line["median"].tolist() == [3 * n + 2 for n in DIMS]
    assert line["high"].tolist() == [3 * n + 3 for n in DIMS]
    assert (line["descents"] == 2).all() and (line["converged"] == 1).all()


def test_what_does_not_converge_costs_infinity(grown):
    line = frame_of(grown).query("optimizer == 'doubling'")
    assert line["median"].tolist() == [5 * 2**n for n in DIMS[:-1]] + [np.inf]
    assert line["converged"].tolist() == [1, 1, 1, 1, 0]


def test_growth_is_told_as_a_power_or_an_exponential(grown):
    texts = frame_of(grown).attrs["texts"]
    assert texts["linear"].startswith("n^0.9") and texts["doubling"] == "2ⁿ"


def test_experiments_in_one_dimension_and_with_another_tolerance_stand_apart(grown):
    asked = [("linear", {"tolerance": 0.1}), ("doubling", {})]
    apart = dataclasses.replace(
        grown, suite={**grown.suite, "experiment": [{"name": name, "outcomes": told} for name, told in asked]}
    )
    assert [case["experiments"] for case in dimension.cases(apart)] == [["linear"], ["doubling"]]
    alone = [{**cell, "experiment": "alone"} if cell["problem"]["dim"] == 8 else cell for cell in grown.cells]
    cells = dataclasses.replace(grown, cells=alone)
    frame = frame_of(cells)
    assert 8 not in set(frame["dim"]) and set(frame["optimizer"]) == {"linear", "doubling"}


def test_times_stand_beside_costs(grown):
    """2 ns n for a value, 6 ns n for its gradient."""
    for cell in grown.cells:
        n = cell["problem"]["dim"]
        cell["problem"]["surface"] = f"bowl {n}"
        grown.clocks[f"bowl {n}"] = pd.DataFrame({"what": ["value", "gradient"], "seconds": [2e-9 * n, 6e-9 * n]})
    cost, time = dimension.cases(grown)
    assert (cost["measure"], time["measure"]) == ("cost", "time")
    frame = dimension.data(grown, **time)
    grown.clocks.clear()
    np.testing.assert_allclose(frame.query("optimizer == 'a gradient'")["median"], 6e-9 * np.array(DIMS))
    assert frame.attrs["texts"] == {"a value": "n^1.00", "a gradient": "n^1.00"}


@pytest.mark.parametrize(
    ("cost", "text"),
    [([7, 7, 7, 7, 7], "n^0.00"), ([2 * n**2 for n in DIMS], "n^2.00"), ([3, 9, np.inf, np.inf, np.inf], "too few")],
)
def test_growth_of_known_lines(cost, text):
    assert dimension.growth(pd.DataFrame({"dim": DIMS, "median": cost})).startswith(text)
