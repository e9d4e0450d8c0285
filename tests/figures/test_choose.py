import numpy as np
import pandas as pd
import pytest

from gdbench.contracts import OUTCOMES
from gdbench.figures.choose import best_setting, edges, final_value, ranking, setting_text, shown_on, split, where

CELL = {
    "axes": [{"name": "learning_rate", "kind": "hyperparameter", "values": [0.1, 0.2, 0.4], "scale": "log"}],
    "optimizer": {"label": "gd"},
}


def table(rows):
    """Rows of (rate, start, outcome, settle_step, gap)."""
    frame = pd.DataFrame(rows, columns=["learning_rate", "start", "outcome", "settle_step", "gap_final"])
    frame["outcome"] = pd.Categorical(frame["outcome"], categories=OUTCOMES)
    frame["settle_step"] = frame["settle_step"].astype("Int64")
    spent = {"f_evals": 0, "g_evals": 100, "hvp_evals": 0, "settle_f_evals": 0, "settle_hvp_evals": 0}
    spent["settle_g_evals"] = frame["settle_step"].astype("Float64")
    return frame.assign(seed=0, steps=100, f_final=frame["gap_final"] + 5, **spent)


def test_a_setting_is_chosen_on_even_starts_only():
    rows = table(
        [
            (0.1, 0, "converged", 50, 0.0),
            (0.1, 1, "diverged", None, 1e9),
            (0.2, 0, "diverged", None, 1e9),
            (0.2, 1, "converged", 5, 0.0),
        ]
    )
    assert best_setting(rows, CELL) == {"learning_rate": 0.1}
    held_out, words = shown_on(where(rows, {"learning_rate": 0.1}))
    assert held_out["start"].tolist() == [1] and words == "held-out starts"


def test_share_before_cost_before_gap():
    rows = table(
        [
            (0.1, 0, "converged", 90, 0.0),
            (0.1, 2, "converged", 90, 0.0),
            (0.2, 0, "converged", 5, 0.0),
            (0.2, 2, "unfinished", None, 0.1),
            (0.4, 0, "unfinished", None, 0.3),
            (0.4, 2, "unfinished", None, 0.3),
        ]
    )
    ranked = ranking(rows, CELL)
    assert ranked["learning_rate"].tolist() == [0.1, 0.2, 0.4]
    assert ranked["_converged"].tolist() == [1, 0.5, 0]
    assert ranked["_cost"].tolist() == [90, np.inf, np.inf]
    slow = rows[rows["outcome"] == "unfinished"]
    assert best_setting(slow, CELL) == {"learning_rate": 0.2}


def test_seeds_are_split_too():
    rows = table([(0.1, s, "converged", 5, 0.0) for s in (0, 0, 1, 1)]).assign(seed=[0, 1, 0, 1])
    chosen_on, held_out = split(rows)
    assert chosen_on.index.tolist() == [0] and held_out.index.tolist() == [3]


def test_with_one_start_nothing_is_held_out_and_it_is_said():
    rows = table([(0.1, 0, "converged", 5, 0.0)])
    assert len(split(rows)[1]) == 0
    shown, words = shown_on(rows)
    assert len(shown) == 1 and words == "not evaluated on held-out starts"


def test_no_setting_where_all_failed_or_there_is_nothing():
    rows = table([(0.1, 0, "diverged", None, 1e9), (0.2, 0, "nonfinite", None, np.nan)])
    assert best_setting(rows, CELL) is None
    assert best_setting(rows.iloc[:0], CELL) is None


def test_without_hyperparameter_axes_the_setting_is_empty():
    rows = table([(0.1, 0, "converged", 5, 0.0)])
    assert best_setting(rows, {**CELL, "axes": []}) == {}


def test_failed_descents_are_infinitely_far():
    rows = table(
        [(0.1, 0, "diverged", None, 3.0), (0.1, 1, "unfinished", None, 2.0), (0.1, 2, "nonfinite", None, np.nan)]
    )
    value, name = final_value(rows)
    assert name == "gap_final" and value.tolist() == [np.inf, 2.0, np.inf]
    value, name = final_value(rows.assign(gap_final=np.nan))
    assert name == "f_final" and value.tolist() == [np.inf, 7.0, np.inf]


def test_the_edge_of_the_grid_is_untuned():
    assert edges(CELL, {"learning_rate": 0.2}) == []
    assert edges(CELL, {"learning_rate": 0.4}) == ["learning_rate"]
    assert "untuned" in setting_text(CELL, {"learning_rate": 0.1})
    assert setting_text(CELL, {"learning_rate": 0.2}) == "gd (learning rate 0.2)"


@pytest.mark.parametrize(("values", "expected"), [([0.0, 0.5, 0.9], []), ([0.8, 0.9], [])])
def test_zero_and_a_choice_of_two_are_no_edges(values, expected):
    cell = {"axes": [{"name": "momentum", "kind": "hyperparameter", "values": values, "scale": "list"}]}
    assert edges(cell, {"momentum": values[0]}) == expected


def test_single_precision_values_are_found():
    rows = table([(float(np.float32(0.1)), 0, "converged", 5, 0.0)])
    assert len(where(rows, {"learning_rate": 0.1})) == 1
