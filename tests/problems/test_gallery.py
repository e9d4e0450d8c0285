"""The gallery: values by independent formulas, published points, corrected facts, and gaps that keep their digits."""

from __future__ import annotations

import math
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdbench.contracts import Problem
from gdbench.kernels.compiler import jit
from gdbench.problems import gallery as folder
from gdbench.problems.gallery.systems import second_zero_of_trigonometric, zeros_of_brown, zeros_of_broyden
from tests.problems.cases import FAMILIES
from tests.problems.conftest import flat_objective, precision
from tests.problems.gallery import FORMULAS

ENTRIES = {entry.name: entry for entry in folder.entries()}
ANY_DIMENSION = sorted(name for name, entry in ENTRIES.items() if "dim" in entry.settings)
CASES = [(name, {}) for name in sorted(ENTRIES)] + [(name, {"dim": 7}) for name in ANY_DIMENSION]
every_case = pytest.mark.parametrize(("name", "settings"), CASES, ids=[f"{n}-{s.get('dim', '')}" for n, s in CASES])


def points_of(problem: Problem, num: int = 30) -> np.ndarray:
    assert problem.box is not None
    return np.random.default_rng(3).uniform(*problem.box, (num, problem.dim))


def values_of(problem: Problem, points: np.ndarray) -> np.ndarray:
    """f at points [n, dim], in float64."""
    with precision("float64"):
        f, data, parameters = flat_objective(problem, "float64")
        gaps = jit(jax.vmap(f, in_axes=(0, None, None)))(jnp.asarray(points), data, parameters)
    return np.asarray(gaps) + problem.offset


def test_every_file_of_the_folder_is_read_and_every_entry_has_a_formula():
    files = {info.name for info in pkgutil.iter_modules(folder.__path__)} - {"sources"}
    assert files == {file.__name__.rpartition(".")[2] for file in folder.FILES}
    assert set(ENTRIES) == set(FORMULAS) and set(ENTRIES) <= set(FAMILIES) and len(ENTRIES) >= 60


@every_case
def test_values_are_those_of_the_published_formula(name, settings):
    problem = ENTRIES[name](**settings)
    points = points_of(problem)
    points[-1] = 0.7 * problem.minimizers[0] + 0.3 * points[0]
    usual = np.array([FORMULAS[name](point) for point in points])
    values = values_of(problem, points)
    # What the published formula itself loses where it takes differences of large numbers.
    np.testing.assert_allclose(values, usual, rtol=1e-10, atol=1e-12 * max(1, abs(problem.minimum or 0)))


# Values that the literature prints, or that are worked out by hand.
PUBLISHED = [
    ("freudenstein_roth", [11.4128, -0.896805], 48.9842, 1e-4),
    ("freudenstein_roth", [0.5, -2.0], 400.5, 1e-12),
    ("brown_badly_scaled", [1.0, 1.0], 999998000003.0, 1e-3),
    ("helical_valley", [-1.0, 0.0, 0.0], 2500.0, 1e-9),
    ("brown_dennis", [25.0, 5.0, -5.0, -1.0], 7926693.336997, 1e-3),
    ("bard", [1.0, 1.0, 1.0], 41.6817, 1e-4),
    ("biggs_exp6", [1.0, 2.0, 1.0, 1.0, 1.0, 1.0], 0.7790700, 1e-6),
    ("broyden_tridiagonal", [-1.0] * 10, 21.0, 1e-12),
    ("brown_almost_linear", [0.0, 3.0], 1.0, 1e-12),
    ("variably_dimensioned", [0.5, 0.0], 0.25 + 1 + 2.5**2 + 2.5**4, 1e-12),
    ("box_3d", [7.0, 7.0, 0.0], 0.0, 1e-12),
    ("price_1", [-5.0, 5.0], 0.0, 1e-12),
    ("damavandi", [7.0, 7.0], 2.0, 1e-12),
    ("giunta", [0.45834282, 0.45834282], 0.0646, 1e-4),
    ("dekkers_aarts", [0.0, 15.0], -24771.09375, 1e-8),
    ("qing", [-1.0, -math.sqrt(2)], 0.0, 1e-12),
    ("salomon", [3.0, 4.0], 0.5, 1e-12),
    ("hosaki", [1.0, 2.0], -25 / 3 * math.exp(-2), 1e-12),
    ("xin_she_yang_3", [14.0, 0.0], math.exp(-((14 / 15) ** 10)), 1e-12),
    ("cosine_mixture", [0.4, 0.0], -0.04, 1e-12),
    ("schwefel_2_22", [-2.0, 3.0], 11.0, 1e-12),
    ("whitley", [1.0, 1.0], 0.0, 1e-12),
    ("trefethen", [0.0, 0.0], 1 + math.sin(60), 1e-12),
    ("cross_leg_table", [0.0, 4.0], -1.0, 1e-12),
]


@pytest.mark.parametrize(("name", "point", "value", "within"), PUBLISHED)
def test_known_points(name, point, value, within):
    problem = ENTRIES[name]() if "dim" not in ENTRIES[name].settings else ENTRIES[name](dim=len(point))
    assert values_of(problem, np.array([point]))[0] == pytest.approx(value, abs=within)


# Minima of the literature that are wrong or incomplete


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("alpine_n1", [math.pi + math.asin(0.1), -math.asin(0.1)]),
        ("quintic", [-0.40262794118612, 2.0]),
        ("pathological", [20 * math.pi / math.sqrt(101)] * 2),
        ("trigonometric", [0.89996, 0.23111]),
        ("biggs_exp6", [10.0, 4.0, -5.0, -3.0, 1.0, 1.0]),
    ],
)
def test_further_global_minimizers(name, point):
    problem = ENTRIES[name]()
    plainly = FORMULAS[name](problem.minimizers[np.abs(problem.minimizers - point).max(axis=1).argmin()])
    assert problem.all_minimizers and np.abs(problem.minimizers - point).max(axis=1).min() < 1e-5
    assert 0 <= plainly < 1e-12


def test_counts_of_global_minimizers():
    counts = {name: len(ENTRIES[name]().minimizers) for name in ENTRIES if ENTRIES[name]().all_minimizers}
    several = {name: count for name, count in counts.items() if count > 1}
    assert several == {
        "alpine_n1": 64, "biggs_exp6": 6, "bird": 2, "brown_almost_linear": 2, "deb_1": 100, "dekkers_aarts": 2,
        "keane": 4, "parsopoulos": 12, "pathological": 639, "powell_badly_scaled": 2, "price_1": 4, "price_4": 3,
        "qing": 4, "quintic": 9, "testtube_holder": 2, "trigonometric": 2, "vincent": 36,
    }  # fmt: skip
    further = [("qing", 7, 128), ("qing", 8, 1), ("quintic", 5, 1), ("alpine_n1", 3, 1), ("vincent", 1, 6)]
    for name, dim, count in further:
        problem = ENTRIES[name](dim=dim)
        assert len(problem.minimizers) == count and problem.all_minimizers == (count > 1)


@pytest.mark.parametrize("dim", [1, 2, 5, 40])
def test_zeros_of_systems_solve_them(dim):
    assert FORMULAS["trigonometric"](second_zero_of_trigonometric(dim)) < 1e-24
    assert second_zero_of_trigonometric(dim).min() > 1e-3
    first, second = zeros_of_broyden(dim)
    assert max(map(FORMULAS["broyden_tridiagonal"], (first, second))) < 1e-24 and abs(first[0] - second[0]) > 1
    if dim > 1:
        zeros = zeros_of_brown(dim)
        assert len(zeros) == 2 + dim % 2 and np.all(zeros[0] == 1)
        assert max(map(FORMULAS["brown_almost_linear"], zeros)) < 1e-16


def test_trigonometric_in_one_dimension_by_hand():
    # 2 (1 - cos x) = sin x, that is tan(x/2) = 1/2.
    np.testing.assert_allclose(second_zero_of_trigonometric(1), [2 * math.atan(0.5)], rtol=1e-14)


@pytest.mark.parametrize("name", sorted(name for name, entry in ENTRIES.items() if entry().dim == 2))
def test_a_dense_grid_finds_nothing_lower(name):
    problem = ENTRIES[name]()
    low, high = problem.box
    axes = [np.linspace(a, b, 301) for a, b in zip(low, high, strict=True)]
    values = values_of(problem, np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2))
    assert values.min() >= problem.minimum - 1e-12 * max(1, abs(problem.minimum))


# Gaps


RESOLVED = [
    "aluffi_pentini", "brown_dennis", "cosine_mixture", "deb_1", "dekkers_aarts", "exponential", "hosaki",
    "jennrich_sampson", "periodic", "ripple_1", "ripple_25", "ursem_1", "venter_sobieski", "vincent", "wavy",
    "xin_she_yang_3", "zettl", "damavandi", "schaffer_f6",
]  # fmt: skip


@pytest.mark.parametrize("name", RESOLVED)
def test_the_gap_is_resolved_next_to_the_minimum(name, at):
    """Moved by 1e-9, where f itself has no digits left, the gap is that of the Hessian."""
    problem = ENTRIES[name]()
    centre = problem.minimizers[:1]
    hessian = at(problem, centre, of=jax.hessian)[0]
    step = 1e-9 * np.ones(problem.dim)
    gap = at(problem, centre + step)[0]
    assert gap == pytest.approx(0.5 * step @ hessian @ step, rel=1e-2)


def test_curvature_in_closed_form():
    root = math.sqrt(5)
    assert ENTRIES["schwefel_1_2"](dim=2).curvature({}) == pytest.approx((3 - root, 3 + root), rel=1e-14)
    assert ENTRIES["wavy"](dim=4).curvature({"frequency": 3.0}) == (2.5, 2.5)
    assert ENTRIES["variably_dimensioned"](dim=3).curvature({}) == (2.0, 30.0)
    m, L = ENTRIES["cube"]().curvature({})
    assert m * L == pytest.approx(400, rel=1e-14) and m + L == pytest.approx(2002, rel=1e-14)


def test_the_frequency_of_wavy_is_an_axis():
    problem, x = ENTRIES["wavy"](frequency=3.0), np.array([[0.7, -1.1]])
    assert values_of(problem, x)[0] == pytest.approx(1 - np.mean(np.cos(3 * x) * np.exp(-(x**2) / 2)), rel=1e-12)
