"""The answer tables: what is chosen where, what is judged where, and with which interval."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from gdbench.figures.regimes import BEST, DEFAULT, ONE
from gdbench.measures.base import cost
from gdbench.report.answers import NOT_HELD_OUT, Answer, by_unit, cell_answers, with_aliases
from gdbench.report.study import read
from gdbench.stats.proportion import wilson


def of_one_cell(make, frame=None, **facts):
    """The rows of a cell; a frame replaces what it would compute."""
    cell = make.cell(**facts)
    results = make.results([cell], {} if frame is None else {cell["id"]: frame})
    (_, rows), *_ = cell_answers(results, cell, results.table(cells=[cell["id"]]), np.random.default_rng(0))
    return rows, results


def with_outcomes(make, settle, **facts):
    """A cell of which a descent converges at step ``settle(row)``, and never where that is None."""
    cell = make.cell(**facts)
    frame = make.results([cell]).frames[cell["id"]].copy()
    steps = [settle(row) for row in frame.itertuples()]
    frame["outcome"] = pd.Categorical(["trapped"] * len(frame), frame["outcome"].cat.categories)
    frame.loc[[s is not None for s in steps], "outcome"] = "converged"
    frame["settle_step"] = frame["settle_g_evals"] = np.array([math.nan if s is None else s for s in steps])
    frame["gap_final"] = 1.0
    return cell, frame


def test_chosen_on_even_starts_and_judged_on_odd_ones(make):
    # Rate 0.1 works from even starts only and rate 0.2 from odd starts only; rate 0.4 from none.
    rates = [0.05, 0.1, 0.2, 0.4]
    works = {0.1: 0, 0.2: 1}
    _, frame = with_outcomes(make, lambda r: 10 if works.get(r.learning_rate) == r.start % 2 else None, rates=rates)
    (row,), _ = of_one_cell(make, frame, rates=rates)
    assert row.setting == {"learning_rate": 0.1}
    assert (row.judged.converged, row.judged.descents, row.judged.censored) == (0, 8, 8)
    assert row.judged.cost == (math.inf, math.inf, math.inf)


def test_share_before_cost_before_gap(make):
    rates = [0.05, 0.1, 0.2, 0.4]
    limits = {0.05: (8, 1), 0.1: (16, 50), 0.2: (16, 20), 0.4: (16, 20)}

    def settle(row):
        starts, step = limits[row.learning_rate]
        return step if row.start < starts else None

    _, frame = with_outcomes(make, settle, rates=rates)
    frame.loc[frame["learning_rate"] == 0.2, "gap_final"] = 2.0
    (row,), _ = of_one_cell(make, frame, rates=rates)
    assert row.setting == {"learning_rate": 0.4}
    assert row.edges == ("learning_rate",)
    frame.loc[frame["learning_rate"] == 0.4, "gap_final"] = 3.0
    (row,), _ = of_one_cell(make, frame, rates=rates)
    assert row.setting == {"learning_rate": 0.2}
    assert row.edges == ()


def test_figures_of_the_chosen_setting(make):
    (row,), results = of_one_cell(make, starts=32)
    table = results.table()
    held = table[(table["start"] % 2 == 1) & (table["learning_rate"] == row.setting["learning_rate"])]
    assert row.regime == BEST
    assert row.judged.converged == (held["outcome"] == "converged").sum() == 16
    assert row.judged.interval == wilson(16, 16)
    assert row.judged.cost.value == np.median(held["settle_step"].astype(float))
    assert row.judged.cost.low <= row.judged.cost.value <= row.judged.cost.high
    assert row.judged.gap == np.median(held["gap_final"])
    assert row.judged.other_costs["c = 4"] == 4 * row.judged.cost.value
    assert row.judged.other_costs["c = dimension"] == 2 * row.judged.cost.value
    assert row.diverged == table["outcome"].isin(["diverged", "nonfinite"]).mean()
    assert row.tuning_cost == cost(table[table["start"] % 2 == 0]).sum()
    assert row.settings == len(make.rates)


def test_starts_and_seeds_both_held_out(make):
    def settle(row):
        return 10 if row.start % 2 == row.seed % 2 == 1 else None

    _, frame = with_outcomes(make, settle, starts=8, seeds=4)
    (row,), _ = of_one_cell(make, frame, starts=8, seeds=4)
    # Odd starts with odd seeds: 4 x 2 descents, but four independent starts.
    assert (row.judged.converged, row.judged.descents, row.judged.units) == (8, 8, 4)
    assert row.judged.interval == wilson(4, 4)


def test_one_start_has_no_figures(make):
    (row,), _ = of_one_cell(make, starts=1)
    assert row.judged is None
    assert row.note == NOT_HELD_OUT
    assert row.setting


def test_one_start_with_seeds_holds_seeds_out(make):
    (row,), _ = of_one_cell(make, starts=1, seeds=6)
    assert (row.judged.units, row.judged.descents) == (3, 3)


def test_default_row_where_the_grid_holds_it(make):
    defaults = {"learning_rate": np.float32(0.1).item(), "momentum": 0.0}
    rows, _ = of_one_cell(make, optimizer=make.optimizer("gd", defaults=defaults))
    assert [row.regime for row in rows] == [BEST, DEFAULT]
    assert rows[1].setting == pytest.approx({"learning_rate": 0.1})
    assert rows[1].tuning_cost == 0


@pytest.mark.parametrize(
    "defaults",
    [{"learning_rate": None, "momentum": 0.0}, {"learning_rate": 0.123, "momentum": 0.0},
     {"learning_rate": 0.1, "momentum": 0.9}],
    ids=["no default", "off the grid", "another value is fixed"],
)  # fmt: skip
def test_no_default_row(make, defaults):
    rows, _ = of_one_cell(make, optimizer=make.optimizer("gd", defaults=defaults))
    assert [row.regime for row in rows] == [BEST]


def rows_of(*rules):
    """Rows of optimizers a, b, … with these rules: (name, hyperparameters) or None."""
    first = Answer("", "", BEST, {}, 1, (), None, "", 0.0, 0.0)
    return [[dataclasses.replace(first, optimizer="abcd"[i], rule=rule)] for i, rule in enumerate(rules)]


def test_one_rule_under_two_names_is_ranked_once():
    adam = ("adam", {"learning_rate": [0.1, 1.0], "b1": 0.9})
    groups = with_aliases(rows_of(adam, ("adam", {**adam[1], "eps_root": 0.0}), ("adam", {**adam[1], "b1": 0.5}), None))
    assert [group[0].alias for group in groups] == ["", "a", "", ""]
    assert [group[0].ranked for group in groups] == [True, False, True, True]


def test_another_grid_is_no_alias():
    one, other = ("gd", {"learning_rate": [0.1, 1.0]}), ("gd", {"learning_rate": [0.1, 2.0]})
    assert [group[0].alias for group in with_aliases(rows_of(one, other, None, None))] == ["", "", "", ""]


def test_everything_lost_chooses_nothing(make):
    (row,), _ = of_one_cell(make, rates=[3.0, 5.0, 10.0])
    assert row.lost
    assert row.edges == ()
    assert row.diverged == 1.0
    assert row.judged.converged == 0


def test_by_unit_keeps_what_belongs_to_a_start_together(make):
    cell = make.cell(starts=3, seeds=2, rates=[0.1])
    frame = make.results([cell]).table().sample(frac=1, random_state=0)
    table = by_unit(frame, frame["start"].to_numpy(dtype=float))
    np.testing.assert_array_equal(table, [[0, 0], [1, 1], [2, 2]])
    short = by_unit(frame[frame["start"] + frame["seed"] > 0], np.ones(5))
    assert np.isnan(short).sum() == 1


def test_a_parameter_axis_makes_a_table_a_value(make):
    axis = {"name": "condition", "kind": "parameter", "values": [2.0, 5.0, 10.0, 50.0, 100.0], "scale": "list"}
    study = read(
        make.results([make.cell("a", axes=[axis]), make.cell("b", axes=[axis], optimizer=make.optimizer("m", 0.5))])
    )
    assert [table.title for table in study.tables] == [f"quadratic, condition = {c}" for c in (2, 10, 100)]
    # Every optimizer has its best setting on each, and one setting for all three.
    assert all([row.regime for row in table.rows] == [BEST, ONE] * 2 for table in study.tables)
    chosen = [table.rows[0].setting["learning_rate"] for table in study.tables]
    assert chosen == sorted(chosen, reverse=True)
    assert len(set(chosen)) == 3


def test_tables_are_sorted_with_oracles_and_failures_last(make):
    cells = [
        make.cell("f", optimizer=make.optimizer("broken"), failed="TypeError: no"),
        make.cell("o", optimizer=make.optimizer("polyak", 0.5, family="oracle")),
        make.cell("g", optimizer=make.optimizer("gd")),
        make.cell("m", optimizer=make.optimizer("momentum", 0.5)),
    ]
    (table,) = read(make.results(cells)).tables
    assert [row.optimizer for row in table.rows] == ["momentum", "gd", "polyak", "broken"]
    assert table.rows[-1].note == "failed: TypeError: no"


def test_the_same_run_gives_the_same_numbers(run):
    assert read(run).answers == read(run).answers
