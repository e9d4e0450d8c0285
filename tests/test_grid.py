from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdbench.contracts import Problem
from gdbench.errors import SuiteError
from gdbench.grid import MOST_STARTS, Axis, Grid, Starts, Values, as_starts, as_values, linear_axis, log_axis, starts

QUICK = settings(max_examples=60, deadline=None)
positive = st.floats(1e-30, 1e30)
finite = st.floats(-1e30, 1e30)


def problem(dim: int = 2, low: float = -2.0, high: float = 3.0, **facts) -> Problem:
    box = (np.full(dim, low), np.full(dim, high))
    return Problem("made up", lambda x, data, parameters: x @ x, dim, **{"box": box, "label": "made up"} | facts)


# Axes


def test_the_forms_of_an_axis():
    assert as_values(3) == Values((3.0,))
    assert as_values([2, 1.5]) == Values((2.0, 1.5))
    assert as_values((1,)) == as_values(np.array([1])) == as_values(np.float32(1)) == Values((1.0,))
    assert as_values({"log": [1, 100], "num": 3}).scale == "log"
    assert as_values({"linear": [0, 1], "num": 3}) == Values((0.0, 0.5, 1.0), "linear")
    ready = log_axis(1, 2, 3)
    assert as_values(ready) is ready


@pytest.mark.parametrize(
    "given, told",
    [
        ([], "at least one value"),
        (True, "numbers, got True"),
        ([0.1, True], "numbers, got True"),
        ("0.1", "numbers, got '0.1'"),
        ([0.1, "x"], "numbers, got 'x'"),
        ([[0.1]], "numbers"),
        (math.nan, "finite"),
        ([1.0, math.inf], "finite"),
        ([0.1, 0.2, 0.1], "each value once"),
        ([1, 1.0], "each value once"),
        ({"log": [1e-3, 1]}, "num"),
        ({"num": 3}, "log"),
        ({"log": [1e-3, 1], "linear": [0, 1], "num": 3}, "linear"),
        ({"log": [1e-3, 1], "num": 3, "base": 2}, "log"),
        ({"log": [1e-3], "num": 3}, "two numbers"),
        ({"log": 1e-3, "num": 3}, "two numbers"),
        ({"log": ["a", 1], "num": 3}, "two numbers"),
        ({"log": [True, 2], "num": 3}, "two numbers"),
        ({"log": [0, 1], "num": 3}, "above 0"),
        ({"log": [-1, 1], "num": 3}, "above 0"),
        ({"log": [math.nan, 1], "num": 3}, "nan"),
        ({"linear": [0, math.nan], "num": 3}, "finite"),
        ({"log": [1e-3, 1], "num": 0}, "at least 1"),
        ({"log": [1e-3, 1], "num": -4}, "at least 1"),
        ({"log": [1e-3, 1], "num": 2.0}, "whole number"),
        ({"log": [1e-3, 1], "num": True}, "whole number"),
    ],
)  # fmt: skip
def test_an_axis_that_breaks_a_rule_is_refused_with_the_rule(given, told):
    with pytest.raises(SuiteError, match=told):
        as_values(given)


@pytest.mark.parametrize("spacing", ["log", "linear"])
def test_an_infinite_end_is_refused_without_a_warning(spacing):
    with pytest.raises(SuiteError, match="finite"):
        as_values({spacing: [1.0, math.inf], "num": 3})


@pytest.mark.parametrize("spacing", ["log", "linear"])
def test_a_generated_axis_names_each_value_once_too(spacing):
    with pytest.raises(SuiteError, match="each value once|differ"):
        as_values({spacing: [1.0, 1.0], "num": 3})


def test_a_number_too_large_for_a_float_is_a_fault_of_the_suite():
    with pytest.raises(SuiteError):
        as_values([10**400])


@pytest.mark.parametrize("spacing", ["log", "linear"])
def test_more_values_than_memory_holds_are_a_fault_of_the_suite(spacing):
    with pytest.raises(SuiteError):
        as_values({spacing: [1.0, 2.0], "num": 10**15})


@QUICK
@given(positive, positive, st.integers(2, 200))
def test_a_log_axis_has_its_ends_and_equal_ratios(low, high, num):
    if max(low, high) < 1.001 * min(low, high):
        return
    values = np.array(log_axis(low, high, num).values)
    assert len(values) == num and values[0] == low and values[-1] == high
    ratios = np.diff(np.log(values))
    assert np.allclose(ratios, math.log(high / low) / (num - 1), rtol=1e-6, atol=1e-12)


@QUICK
@given(finite, finite, st.integers(2, 200))
def test_a_linear_axis_has_its_ends_and_equal_steps(low, high, num):
    if abs(high - low) < 1e-3 * max(abs(low), abs(high), 1e-30):
        return
    values = np.array(linear_axis(low, high, num).values)
    assert len(values) == num and values[0] == low and values[-1] == high
    assert np.allclose(np.diff(values), (high - low) / (num - 1), rtol=1e-6)


# Rows of a grid


def axes(sizes: list[int]) -> tuple[Axis, ...]:
    return tuple(
        Axis(f"a{i}", "hyperparameter", Values(tuple(10.0 * i + j for j in range(n)))) for i, n in enumerate(sizes)
    )


@QUICK
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.data())
def test_rows_are_the_product_with_the_last_axis_fastest(sizes, data):
    grid = Grid(axes(sizes))
    assert grid.size == math.prod(sizes)
    expected = [dict(zip((a.name for a in grid.axes), index, strict=True)) for index in np.ndindex(*sizes)]
    first = data.draw(st.integers(0, grid.size))
    last = data.draw(st.integers(first, grid.size))
    at = grid.indices(first, last)
    value = grid.coordinates(first, last)
    for row in range(first, last):
        for i, axis in enumerate(grid.axes):
            assert at[axis.name][row - first] == expected[row][axis.name]
            assert value[axis.name][row - first] == 10.0 * i + expected[row][axis.name]
    assert all(len(column) == last - first for column in (*at.values(), *value.values()))


@QUICK
@given(st.lists(st.integers(1, 6), min_size=1, max_size=3), st.integers(1, 7))
def test_ranges_of_rows_join_to_the_whole(sizes, width):
    grid = Grid(axes(sizes))
    parts = [grid.coordinates(i, min(i + width, grid.size)) for i in range(0, grid.size, width)]
    for axis in grid.axes:
        joined = np.concatenate([part[axis.name] for part in parts])
        assert np.array_equal(joined, grid.coordinates(0, grid.size)[axis.name])


# Starts


@pytest.mark.parametrize("kind", ["sobol", "box", "ball"])
@pytest.mark.parametrize("dim", [1, 2, 7])
@pytest.mark.parametrize("few, many", [(1, 2), (3, 4), (5, 64), (64, 65), (100, 1000)])
def test_more_starts_leave_the_earlier_ones_as_they_were(kind, dim, few, many):
    options = {"radius": 0.5} if kind == "ball" else {}
    short, long = (starts(kind, n, **options).draw(problem(dim), seed=7) for n in (few, many))
    assert short.shape == (few, dim) and long.shape == (many, dim)
    assert np.array_equal(short, long[:few])


@pytest.mark.parametrize("kind", ["sobol", "box", "ball"])
def test_the_seed_and_nothing_else_decides_random_starts(kind):
    drawn = starts(kind, 16, **({"radius": 0.5} if kind == "ball" else {}))
    a, again, other = (drawn.draw(problem(), seed) for seed in (1, 1, 2))
    assert np.array_equal(a, again)
    assert not np.isclose(a, other).any()


@QUICK
@given(st.sampled_from(["sobol", "box", "grid"]), st.integers(1, 4), st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_starts_lie_in_the_box(kind, dim, low, width):
    at = problem(dim, low, low + width)
    found = starts(kind, 5).draw(at, seed=0)
    assert found.dtype == np.float64 and found.shape == (5**dim if kind == "grid" else 5, dim)
    assert (found >= low).all() and (found <= low + width).all()
    assert len(np.unique(found, axis=0)) == len(found)


@QUICK
@given(st.integers(1, 9), st.floats(1e-3, 1e3), st.integers(0, 2**32 - 1))
def test_starts_of_a_ball_lie_in_it(dim, radius, seed):
    center = np.arange(dim, dtype=float)
    found = starts("ball", 40, radius=radius, center=center.tolist()).draw(problem(dim), seed)
    assert (np.linalg.norm(found - center, axis=1) <= radius * (1 + 1e-9) + 1e-9).all()


def test_a_ball_is_filled_evenly():
    found = starts("ball", 4000, radius=2.0, center=[0, 0]).draw(problem(2), seed=0)
    inner = np.linalg.norm(found, axis=1) < math.sqrt(2)  # half of the area
    assert abs(inner.mean() - 0.5) < 0.03
    assert np.abs(found.mean(axis=0)).max() < 0.1


def test_a_grid_of_starts_runs_over_the_last_coordinate_fastest():
    found = starts("grid", [2, 3]).draw(problem(2, 0.0, 1.0), seed=0)
    assert found.tolist() == [[0, 0], [0, 0.5], [0, 1], [1, 0], [1, 0.5], [1, 1]]
    assert starts("grid", 1).draw(problem(2, 0.0, 1.0), seed=0).tolist() == [[0.5, 0.5]]


def test_the_default_start():
    assert Starts().draw(problem(2, start=np.array([1.0, 2.0])), 0).tolist() == [[1, 2]]
    assert Starts().draw(problem(2), 0).tolist() == [[0.5, 0.5]]
    assert Starts().draw(problem(3, box=None), 0).tolist() == [[0, 0, 0]]


def test_points_are_kept_as_given():
    assert as_starts([[1, 2], [3, 4]]).draw(problem(2), 0).tolist() == [[1, 2], [3, 4]]
    assert as_starts([1.0, 2.0]).count(problem(2)) == 1
    assert starts("points", points=np.array([[1.0, 2.0], [3.0, 4.0]])).count(problem(2)) == 2


@pytest.mark.parametrize(
    "table, told",
    [
        ({"kind": "sobbol", "num": 4}, "did you mean 'sobol'"),
        ({"num": 4}, "kind"),
        ({"kind": "sobol"}, "num must be a whole number"),
        ({"kind": "sobol", "num": 0}, "at least 1"),
        ({"kind": "sobol", "num": 2.5}, "whole number"),
        ({"kind": "sobol", "num": True}, "whole number"),
        ({"kind": "sobol", "num": [2, 2]}, "whole number"),
        ({"kind": "grid", "num": []}, "whole number"),
        ({"kind": "grid", "num": [2, -1]}, "at least 1"),
        ({"kind": "sobol", "num": 4, "radius": 1.0}, "no 'radius'"),
        ({"kind": "ball", "num": 4}, "radius above 0"),
        ({"kind": "ball", "num": 4, "radius": 0}, "radius above 0"),
        ({"kind": "ball", "num": 4, "radius": math.nan}, "radius above 0"),
        ({"kind": "ball", "num": 4, "radius": 1, "centre": [0, 0]}, "did you mean 'center'"),
        ({"kind": "ball", "num": 4, "radius": 1, "center": [0, math.nan]}, "finite"),
        ({"kind": "points"}, "at least one point"),
        ({"kind": "points", "points": []}, "at least one point"),
        ({"kind": "points", "points": [[0, math.nan]]}, "coordinate 1 of start 0 must be a finite number"),
        ({"kind": "points", "points": [[0, 1], [math.inf, 0]]}, "coordinate 0 of start 1"),
        ({"kind": "points", "points": [["a"]]}, "finite number"),
        ({"kind": "points", "points": 3}, "point"),
        ({"kind": "default", "num": 4}, "take no 'num'"),
        ({"kind": ["sobol"], "num": 4}, "unknown"),
    ],
)  # fmt: skip
def test_starts_that_break_a_rule_are_refused_with_the_rule(table, told):
    with pytest.raises(SuiteError, match=told):
        as_starts(table)


def test_starts_that_do_not_fit_a_problem():
    boxless = problem(2, box=None)
    assert "need a box" in starts("sobol", 4).faults(boxless)[0]
    assert starts("ball", 4, radius=1.0).faults(boxless) == []
    assert "start 1 has 3 coordinates" in as_starts({"points": [[1, 2], [1, 2, 3]]}).faults(problem(2))[0]
    assert "center has 1" in starts("ball", 4, radius=1.0, center=[0]).faults(problem(2))[0]
    assert "num has 3 entries" in starts("grid", [2, 2, 2]).faults(problem(2))[0]
    assert f"{MOST_STARTS:,}" in starts("grid", 10).faults(problem(8))[0]
    assert starts("grid", 10).faults(problem(7)) == []


def test_a_sobol_sequence_of_too_many_dimensions_is_a_fault_not_a_crash():
    large = problem(21_202)
    drawn = starts("sobol", 2)
    faults = drawn.faults(large)
    assert faults and "sobol" in faults[0], faults
