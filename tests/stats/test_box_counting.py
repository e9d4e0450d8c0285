"""Box counting on sets whose dimension is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gdbench.stats.box_counting import boundary_cells, box_dimension, occupied, set_dimension


def cantor(level):
    """The middle-thirds set as 3^level cells."""
    cells = np.ones(1, dtype=bool)
    for _ in range(level):
        cells = np.concatenate([cells, np.zeros_like(cells), cells])
    return cells


def koch(level, side):
    """The Koch curve drawn into a square of cells."""
    points = np.array([0.0, 1.0], dtype=complex)
    for _ in range(level):
        third = np.diff(points) / 3
        starts = points[:-1]
        corners = [starts, starts + third, starts + third * (1 + np.exp(1j * np.pi / 3)), starts + 2 * third]
        points = np.append(np.stack(corners, axis=1).ravel(), points[-1])
    cells = np.zeros((side, side), dtype=bool)
    cells[(points.imag * (side - 1)).round().astype(int), (points.real * (side - 1)).round().astype(int)] = True
    return cells


def sierpinski(level):
    """Pascal's triangle modulo 2: 3^k occupied boxes of side 2^(level - k)."""
    i = np.arange(2**level)
    return (i[:, None] & i[None, :]) == 0


def test_a_straight_line_has_dimension_one():
    level = np.zeros((256, 256), dtype=bool)
    level[77] = True
    for cells in (level, level.T, np.eye(256, dtype=bool)):
        found = set_dimension(cells)
        assert (found.dimension, found.error) == pytest.approx((1.0, 0.0), abs=1e-12)
        assert found.sizes == (1, 2, 4, 8, 16, 32, 64) and found.counts == (256, 128, 64, 32, 16, 8, 4)
        assert found.reason == ""


def test_a_filled_square_has_dimension_two():
    found = set_dimension(np.ones((128, 128), dtype=bool))
    assert (found.dimension, found.error) == pytest.approx((2.0, 0.0), abs=1e-12)


def test_sierpinski():
    found = set_dimension(sierpinski(8))
    assert (found.dimension, found.error) == pytest.approx((np.log2(3), 0.0), abs=1e-12)


def test_cantor():
    found = set_dimension(cantor(9))
    # Boxes that double do not fit a set that triples.
    assert found.dimension == pytest.approx(np.log(2) / np.log(3), abs=0.04)
    assert 0 < found.error < 0.02


def test_koch():
    assert set_dimension(koch(8, 1024)).dimension == pytest.approx(np.log(4) / np.log(3), abs=0.04)


def test_a_random_set_fills_its_space():
    rng = np.random.default_rng(0)
    assert set_dimension(rng.random((256, 256)) < 0.97).dimension == pytest.approx(2.0, abs=0.03)
    assert box_dimension(rng.integers(2, size=(256, 256))).dimension == pytest.approx(2.0, abs=0.03)
    assert box_dimension(rng.integers(2, size=4096)).dimension == pytest.approx(1.0, abs=0.1)


def test_a_few_points_have_dimension_zero():
    labels = np.arange(1000) > 400
    assert (box_dimension(labels).dimension, box_dimension(labels).error) == (0.0, 0.0)
    cells = np.zeros(4096, dtype=bool)
    cells[[100, 2000, 3900]] = True
    assert set_dimension(cells).dimension == pytest.approx(0.0, abs=0.1)


def test_the_edge_of_smooth_regions_has_dimension_one():
    y, x = np.mgrid[:513, :513]
    disc = (x - 256) ** 2 + (y - 250) ** 2 < 200**2
    assert box_dimension(disc).dimension == pytest.approx(1.0, abs=0.06)
    assert box_dimension(2 * x + 3 * y > 1200).dimension == pytest.approx(1.0, abs=0.03)


def test_boundary_cells_by_hand():
    np.testing.assert_array_equal(boundary_cells(np.array([1, 1, 2, 2, 1])), [False, True, False, True])
    labels = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 5]])
    np.testing.assert_array_equal(boundary_cells(labels), [[False, False, False], [False, False, True]])
    # Each corner of a block counts, whichever it is.
    for place in np.ndindex(2, 2):
        block = np.zeros((2, 2))
        block[place] = 1
        assert boundary_cells(block).tolist() == [[True]]


def test_an_odd_side_is_filled_up():
    cells = np.array([False, False, False, False, True])
    assert occupied(cells).tolist() == [False, False, True]
    assert occupied(cells, 2).tolist() == [False, True]
    assert occupied(np.ones((3, 5), dtype=bool)).shape == (2, 3)


def test_what_has_no_dimension_says_why():
    small = box_dimension(np.arange(30) > 4)
    assert np.isnan(small.dimension) and np.isnan(small.error)
    assert "29 cells" in small.reason and "fewer than 4" in small.reason
    assert np.isfinite(box_dimension(np.arange(32) > 4).dimension)
    flat = box_dimension(np.ones((64, 64)))
    assert np.isnan(flat.dimension) and flat.reason == "no boundary" and set(flat.counts) == {0}
    assert set_dimension(np.zeros(64, dtype=bool)).reason == "the set is empty"


@pytest.mark.parametrize("shape", [(), (40, 40, 40)])
def test_other_dimensions_are_refused(shape):
    with pytest.raises(ValueError, match="one or two dimensions"):
        boundary_cells(np.zeros(shape))
    with pytest.raises(ValueError, match="one or two dimensions"):
        set_dimension(np.zeros(shape, dtype=bool))


def test_numbers_are_no_set():
    with pytest.raises(ValueError, match="booleans"):
        set_dimension(np.ones((64, 64)))


@given(arrays(int, st.tuples(st.integers(32, 50), st.integers(32, 50)), elements=st.integers(0, 2)))
def test_counts_are_those_of_the_definition(labels):
    found = box_dimension(labels)
    rows, columns = np.nonzero(boundary_cells(labels))
    expected = [len({(r // s, c // s) for r, c in zip(rows, columns, strict=True)}) for s in found.sizes]
    assert list(found.counts) == expected
    assert box_dimension(labels.T).counts == found.counts
    assert box_dimension(7 - 2 * labels).counts == found.counts
    if found.counts[0]:
        fit = np.polyfit(-np.log2(found.sizes), np.log2(found.counts), 1)
        assert found.dimension == pytest.approx(fit[0], abs=1e-9)


def test_the_error_is_that_of_the_slope():
    found = box_dimension(np.random.default_rng(1).integers(2, size=(64, 64)))
    fit, covariance = np.polyfit(-np.log2(found.sizes), np.log2(found.counts), 1, cov=True)
    assert (found.dimension, found.error) == pytest.approx((fit[0], covariance[0, 0] ** 0.5))
