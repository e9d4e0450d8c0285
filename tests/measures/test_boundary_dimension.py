"""The dimension of the boundary of the lost descents, on maps drawn by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from gdbench.contracts import OUTCOMES
from gdbench.measures.boundary_dimension import boundary_dimension, grid_axes, lost_map
from gdbench.stats.box_counting import box_dimension


def cell(**kinds):
    """A cell with axes of these kinds, and an axis of starts."""
    axes = [{"name": name, "kind": kind, "values": [], "scale": "log"} for name, kind in kinds.items()]
    return {"axes": [*axes, {"name": "start", "kind": "start", "values": [0], "scale": "list"}]}


def frame(lost, *names, start=0, seed=0):
    """A row a place of a map, shuffled: nonfinite and diverged where it is lost, and all the rest elsewhere."""
    places = list(itertools.product(*(range(n) for n in lost.shape)))
    codes = np.arange(len(places))
    words = np.where(lost.ravel(), np.array(OUTCOMES)[codes % 2], np.array(OUTCOMES)[2 + codes % 4])
    table = pd.DataFrame({name: [10.0 ** (p[i] / 50) for p in places] for i, name in enumerate(names)})
    table["outcome"] = pd.Categorical(words, categories=list(OUTCOMES))
    return table.assign(instance=0, start=start, seed=seed).sample(frac=1, random_state=0)


PLANE = cell(learning_rate="hyperparameter", momentum="hyperparameter")
LINE = cell(learning_rate="hyperparameter")


def plane(lost, **repeat):
    return frame(lost, "learning_rate", "momentum", **repeat)


def test_a_smooth_boundary_in_a_plane_has_dimension_one():
    y, x = np.mgrid[:64, :48]
    table = plane(y + x > 50)
    assert boundary_dimension.compute(table, PLANE) == pytest.approx(1.0, abs=0.05)
    assert boundary_dimension.compute(table, PLANE) == box_dimension(y + x > 50).dimension


def test_a_random_boundary_fills_the_plane():
    lost = np.random.default_rng(0).random((64, 64)) < 0.5
    assert boundary_dimension.compute(plane(lost), PLANE) == pytest.approx(2.0, abs=0.05)


def test_one_learning_rate_on_a_line_has_dimension_zero():
    assert boundary_dimension.compute(frame(np.arange(256) > 99, "learning_rate"), LINE) == 0.0
    assert math.isnan(boundary_dimension.compute(frame(np.arange(255) > 99, "learning_rate"), LINE))


def test_small_grids_and_grids_of_three_axes_have_none():
    y, x = np.mgrid[:31, :64]
    assert math.isnan(boundary_dimension.compute(plane(y > x), PLANE))
    three = frame(np.zeros((32, 32, 2), dtype=bool), "learning_rate", "momentum", "eps")
    kinds = dict.fromkeys(("learning_rate", "momentum", "eps"), "hyperparameter")
    assert grid_axes(three, cell(**kinds)) == []
    # One setting of the third is a plane again.
    assert grid_axes(three[three["eps"] == 1.0], cell(**kinds)) == ["learning_rate", "momentum"]


def test_a_parameter_of_the_problem_makes_a_plane_but_no_line():
    y, x = np.mgrid[:64, :64]
    kinds = cell(learning_rate="hyperparameter", condition="parameter")
    table = frame(y > x, "learning_rate", "condition")
    assert boundary_dimension.compute(table, kinds) == pytest.approx(1.0, abs=0.05)
    assert math.isnan(boundary_dimension.compute(frame(np.arange(300) > 9, "condition"), cell(condition="parameter")))


def test_a_grid_with_gaps_or_without_a_boundary_has_none():
    y, x = np.mgrid[:64, :64]
    table = plane(y > x)
    assert lost_map(table.iloc[1:], ["learning_rate", "momentum"]) is None
    assert math.isnan(boundary_dimension.compute(table.iloc[1:], PLANE))
    assert math.isnan(boundary_dimension.compute(plane(np.zeros((64, 64), dtype=bool)), PLANE))
    assert math.isnan(boundary_dimension.compute(table.iloc[:0], PLANE))


def test_a_place_with_two_descents_is_no_map():
    table = plane(np.eye(64, dtype=bool))
    assert lost_map(pd.concat([table.iloc[1:], table.iloc[1:2]]), ["learning_rate", "momentum"]) is None


def test_the_map_is_in_ascending_order():
    lost = np.random.default_rng(2).random((33, 40)) < 0.5
    table = plane(lost)
    np.testing.assert_array_equal(lost_map(table, ["learning_rate", "momentum"]), lost)
    np.testing.assert_array_equal(lost_map(table, ["momentum", "learning_rate"]), lost.T)


def test_starts_and_seeds_are_maps_of_their_own_and_the_median_is_taken():
    y, x = np.mgrid[:64, :64]
    rough = np.random.default_rng(0).random((64, 64)) < 0.5
    nothing = np.zeros((64, 64), dtype=bool)
    tables = [plane(y > x), plane(rough, start=1), plane(y > 30, seed=1), plane(nothing, start=1, seed=1)]
    alone = [boundary_dimension.compute(table, PLANE) for table in tables]
    together = boundary_dimension.compute(pd.concat(tables), PLANE)
    # The one without a boundary has no say.
    assert together == pytest.approx(np.median(alone[:3])) and math.isnan(alone[3])
