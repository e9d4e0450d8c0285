import numpy as np
import pandas as pd
import pytest

from gdbench.contracts import CONVERGED, DIVERGED, OUTCOMES, UNFINISHED
from gdbench.figures.grids import grouped_median, outcome_codes, outline, pixels, region_names, stride


def table(outcomes, rates):
    """Codes and rates of descents, as ``pixels`` takes them."""
    return outcome_codes(pd.DataFrame({"outcome": pd.Categorical(outcomes, categories=OUTCOMES)})), np.array(rates)


def test_a_pixel_shows_the_majority_and_the_median_rate_within_it():
    rows = table(["converged", "converged", "converged", "diverged"], [-1.0, -2.0, -6.0, 9.0])
    frame = pixels(*rows, np.zeros(4, int), np.zeros(4, int))
    assert frame.loc[0, "outcome"] == "converged"
    assert frame.loc[0, ["share", "descents", "rate"]].tolist() == [0.75, 4, -2.0]


def test_of_equals_the_outcome_decided_first():
    frame = pixels(*table(["converged", "diverged"], [-1.0, 2.0]), np.zeros(2, int), np.zeros(2, int))
    assert frame.loc[0, "outcome"] == "diverged" and frame.loc[0, "rate"] == 2.0


def test_a_majority_without_rates_has_none():
    rows = table(["unfinished", "unfinished", "converged"], [np.nan, np.nan, -1.0])
    frame = pixels(*rows, np.zeros(3, int), np.zeros(3, int))
    assert frame.loc[0, "outcome"] == "unfinished" and np.isnan(frame.loc[0, "rate"])


def test_places_without_descents_are_left_out():
    frame = pixels(*table(["converged"] * 2, [-1.0, -2.0]), np.array([0, 1]), np.array([0, 2]))
    assert frame[["row", "column", "rate"]].to_numpy().tolist() == [[0, 0, -1], [1, 2, -2]]


def test_outcomes_become_codes_whatever_the_categories():
    given = pd.DataFrame({"outcome": pd.Categorical(["diverged", None, "converged"])})
    assert outcome_codes(given).tolist() == [DIVERGED, -1, CONVERGED]
    assert outcome_codes(given.astype(object)).tolist() == [DIVERGED, -1, CONVERGED]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_median_of_each_group_is_that_of_numpy(dtype):
    rng = np.random.default_rng(1)
    values = np.r_[rng.normal(size=500), 0.0, -0.0, np.inf, -np.inf, 1e-40].astype(dtype)
    group = rng.integers(0, 60, len(values))
    group[group == 7] = 8
    found = grouped_median(values, group, 61)
    for g in range(61):
        own = values[group == g].astype(float)
        assert found[g] == np.median(own) if len(own) else np.isnan(found[g])


@pytest.mark.parametrize(("count", "most", "expected"), [(10, 10, 1), (11, 10, 2), (1000, 512, 2), (1, 512, 1)])
def test_stride(count, most, expected):
    assert stride(count, most) == expected


def test_the_outline_lies_on_pixel_edges():
    lines = outline(np.array([[0, 0, 1], [0, 0, 1]]), (0.0, 3.0, 0.0, 2.0))
    segments = sorted(np.asarray(segment).tolist() for segment in lines.get_segments())
    assert segments == [[[2.0, 0.0], [2.0, 1.0]], [[2.0, 1.0], [2.0, 2.0]]]


def test_names_stand_inside_their_regions():
    codes = np.full((40, 60), CONVERGED)
    codes[:, 30:] = DIVERGED
    codes[0, 0] = UNFINISHED
    names = {name.text: name for name in region_names(codes, (0.0, 60.0, 0.0, 40.0))}
    assert set(names) == {"converged", "diverged"}
    assert names["converged"].x < 30 < names["diverged"].x
    assert not names["converged"].upright


def test_a_narrow_region_has_its_name_upright():
    codes = np.full((50, 50), CONVERGED)
    codes[:, 20:25] = DIVERGED
    (name,) = [name for name in region_names(codes, (0.0, 50.0, 0.0, 50.0)) if name.text == "diverged"]
    assert name.upright and 20 <= name.x <= 25
