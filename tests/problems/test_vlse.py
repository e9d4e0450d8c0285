"""The 47 test functions of Surjanovic and Bingham's library: all there, right in value, and resolved at the minimum."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gdbench.contracts import Problem
from gdbench.errors import SuiteError
from gdbench.problems.steep import michalewicz_minima
from tests.problems.cases import FAMILIES
from tests.problems.vlse import FORMULAS, VARIANTS, perm, perm0

ANY_DIMENSION = {
    "ackley", "griewank", "levy", "rastrigin", "schwefel", "perm0", "rotated_hyper_ellipsoid", "sphere",
    "sum_different_powers", "sum_squares", "trid", "zakharov", "dixon_price", "rosenbrock", "michalewicz", "perm",
    "powell", "styblinski_tang",
}  # fmt: skip
CASES = [(name, {}) for name in FORMULAS] + [(name, {"dim": 8}) for name in sorted(ANY_DIMENSION)]
every_case = pytest.mark.parametrize(("name", "settings"), CASES, ids=[f"{n}-{s.get('dim', '')}" for n, s in CASES])


def points_of(problem: Problem, num: int = 40) -> np.ndarray:
    assert problem.box is not None
    return np.random.default_rng(3).uniform(*problem.box, (num, problem.dim))


def test_all_47_are_there():
    # Every function of the library is one family, but for those with three variants each.
    assert len(FORMULAS) - sum(len(names) - 1 for names in VARIANTS.values()) == 47
    assert set(FORMULAS) <= set(FAMILIES)
    assert {name for name in FORMULAS if "dim" in FAMILIES[name].settings} == ANY_DIMENSION
    for name in FORMULAS:
        assert "Surjanovic and Bingham" in FAMILIES[name]().source or name in ("rastrigin", "rosenbrock"), name


@every_case
def test_values_are_those_of_the_published_formula(name, settings, at):
    problem = FAMILIES[name](**settings)
    points = points_of(problem)
    if problem.minimizers is not None:
        points = np.concatenate([points, 0.7 * problem.minimizers[:1] + 0.3 * points[:1]])
    usual = np.array([FORMULAS[name](point) for point in points])
    values = at(problem, points) + problem.offset
    # What the published formula itself loses where it takes differences of large numbers.
    np.testing.assert_allclose(values, usual, rtol=1e-10, atol=1e-12 * max(1, abs(problem.minimum or 0)))


# Printed by the library, or (values away from minima) worked out by hand from the formula.
PUBLISHED = [
    ("ackley", [1, 0], 20 + math.e - 20 * math.exp(-0.2 / math.sqrt(2)) - math.e, 1e-12),
    ("bukin_n6", [-10, 1], 0, 1e-12),
    ("bukin_n6", [-6, 0], 60.04, 1e-12),
    ("cross_in_tray", [1.3491, -1.3491], -2.06261, 1e-5),
    ("cross_in_tray", [0, 3], -0.0001, 1e-12),
    ("drop_wave", [0, 0], -1, 1e-12),
    ("eggholder", [512, 404.2319], -959.6407, 1e-4),
    ("gramacy_lee", [1.0], 0, 1e-12),
    ("griewank", [math.pi, 0], math.pi**2 / 4000 + 2, 1e-12),
    ("holder_table", [8.05502, 9.66459], -19.2085, 1e-4),
    ("levy", [-3, 1], 1 + 10 * math.sin(1) ** 2, 1e-12),
    ("levy_n13", [2, 1], 1, 1e-12),
    ("rastrigin", [0.5, 0], 20.25, 1e-12),
    ("schaffer_n4", [0, 1.25313], 0.292579, 1e-6),
    ("schwefel", [420.9687, 420.9687], 0, 1e-8),
    ("shubert", [-7.0835, 4.8580], -186.7309, 1e-4),
    ("bohachevsky1", [1, 1], 3.6, 1e-12),
    ("bohachevsky2", [1, 0], 1.6, 1e-12),
    ("bohachevsky3", [1, 0], 1.6, 1e-12),
    ("rotated_hyper_ellipsoid", [1, 2], 6, 1e-12),
    ("trid", [2, 2], -2, 1e-12),
    ("booth", [0, 0], 74, 1e-12),
    ("matyas", [1, 2], 0.34, 1e-12),
    ("mccormick", [-0.54719, -1.54719], -1.9133, 1e-4),
    ("power_sum", [0, 0, 0, 0], 64 + 324 + 1936 + 12996, 1e-9),
    ("zakharov", [1, 0], 1.3125, 1e-12),
    ("three_hump_camel", [2, 1], 8 - 16.8 + 64 / 6 + 3, 1e-12),
    ("six_hump_camel", [0.0898, -0.7126], -1.0316, 1e-4),
    ("six_hump_camel", [0, 0], 0, 1e-12),
    ("dixon_price", [0, 1], 9, 1e-12),
    ("rosenbrock", [-1.2, 1], 24.2, 1e-12),
    ("de_jong_n5", [-32, -32], 0.998004, 1e-6),
    ("easom", [math.pi, math.pi], -1, 1e-12),
    ("michalewicz", [2.2029, 1.5708], -1.8013, 1e-4),
    ("beale", [0, 0], 2.25 + 5.0625 + 6.890625, 1e-12),
    ("branin", [math.pi, 2.275], 0.397887, 1e-6),
    ("colville", [0, 0, 0, 0], 42, 1e-12),
    ("forrester", [0.0], 4 * math.sin(-4), 1e-12),
    ("goldstein_price", [-0.6, -0.4], 30, 1e-12),
    ("goldstein_price", [0, -1], 3, 1e-12),
    ("hartmann3", [0.114614, 0.555649, 0.852547], -3.86278, 1e-5),
    ("hartmann6", [0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573], -3.32237, 1e-5),
    ("powell", [3, -1, 0, 1], 215, 1e-12),
    ("shekel5", [4, 4, 4, 4], -10.1532, 1e-4),
    ("shekel7", [4, 4, 4, 4], -10.4029, 2e-4),
    ("shekel10", [4, 4, 4, 4], -10.5364, 2e-4),
    ("styblinski_tang", [-2.903534, -2.903534], -39.16599 * 2, 1e-3),
]


@pytest.mark.parametrize(("name", "x", "value", "error"), PUBLISHED, ids=[f"{n}-{x}" for n, x, *_ in PUBLISHED])
def test_values_at_printed_points(name, x, value, error, at):
    problem = FAMILIES[name]()
    assert at(problem, np.array([x], float))[0] + problem.offset == pytest.approx(value, abs=error)


def test_michalewicz_minima_in_more_dimensions():
    # Printed to as many digits in the library (2, 5 and 10 dimensions).
    for dim, value in ((2, -1.8013), (5, -4.687658), (10, -9.66015)):
        assert FAMILIES["michalewicz"](dim=dim).minimum == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("m", [1, 3, 10])
def test_michalewicz_minimizers_are_the_best_of_a_fine_grid(m):
    x = np.linspace(0, np.pi, 400_001)
    minimizer, minimum, _ = michalewicz_minima(7, m)
    least = [-(np.sin(x) * np.sin(i * x**2 / np.pi) ** (2 * m)) for i in range(1, 8)]
    np.testing.assert_allclose(minimizer, [x[values.argmin()] for values in least], atol=1e-5)
    assert minimum == pytest.approx(sum(values.min() for values in least), abs=1e-7)


NUMBERS = {
    "cross_in_tray": 4, "holder_table": 4, "schaffer_n4": 4, "shubert": 18, "power_sum": 12, "six_hump_camel": 2,
    "dixon_price": 2, "branin": 3,
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_every_global_minimizer_is_listed_once(name):
    problem = FAMILIES[name]()
    assert problem.minimizers is not None
    assert len(problem.minimizers) == NUMBERS.get(name, 1)
    assert problem.all_minimizers == (name not in ("perm", "perm0"))
    apart = np.abs(problem.minimizers[:, None] - problem.minimizers[None, :]).max(axis=2)
    assert apart[~np.eye(len(apart), dtype=bool)].min(initial=1) > 0.1


IN_FLOAT32 = [
    "ackley", "drop_wave", "griewank", "levy", "levy_n13", "rastrigin", "schaffer_n2", "schwefel", "bohachevsky1",
    "bohachevsky2", "bohachevsky3", "perm0", "trid", "booth", "matyas", "mccormick", "zakharov", "three_hump_camel",
    "six_hump_camel", "dixon_price", "easom", "beale", "branin", "colville", "goldstein_price", "perm",
    "styblinski_tang",
]  # fmt: skip


@pytest.mark.parametrize("name", IN_FLOAT32)
def test_the_gap_is_resolved_in_float32_next_to_the_minimum(name, at):
    problem = FAMILIES[name]()
    assert problem.offset == problem.minimum and problem.box is not None and problem.minimizers is not None
    # Near enough for the gap to be lost in float32 when it is taken as a difference, not for float64.
    step = 1e-4 * np.max(problem.box[1] - problem.box[0]) * np.linspace(1, 0.4, problem.dim)
    near = (problem.minimizers + step[None, :]).astype(np.float32).astype(float)
    exact = np.array([FORMULAS[name](point) for point in near]) - problem.minimum
    assert (exact < 0.05 * max(1, abs(problem.minimum or 0))).all()
    np.testing.assert_allclose(at(problem, near, "float32"), exact, rtol=5e-3)


def test_bukin_is_resolved_next_to_its_minimum(at):
    points = np.array([[-10, 1 + 2.0**-23], [-10 + 2.0**-20, 1.0]])
    value = 100 * math.sqrt(2.0**-23), 100 * math.sqrt(0.2 * 2.0**-20) + 0.01 * 2.0**-20
    np.testing.assert_allclose(at(FAMILIES["bukin_n6"](), points, "float32"), value, rtol=1e-5)


@pytest.mark.parametrize("beta", [0.5, 10.0])
def test_perm_functions_have_a_second_minimizer_in_the_plane(beta):
    d = -4 / ((2 + beta) ** 2 / (1 + beta) + 4 + beta)
    assert perm(np.array([1 - (2 + beta) / (1 + beta) * d, 2 + 2 * d]), beta) == pytest.approx(0, abs=1e-24)
    a = (1 + beta) / (3 + 2 * beta)
    assert perm0(np.array([a, 0.5 + a]), beta) == pytest.approx(0, abs=1e-24)


@pytest.mark.parametrize("name", ["perm", "perm0"])
def test_perm_takes_any_beta(name, at):
    problem, points = FAMILIES[name](dim=3, beta=2.5), points_of(FAMILIES[name](dim=3))
    usual = [(perm if name == "perm" else perm0)(point, 2.5) for point in points]
    np.testing.assert_allclose(at(problem, points), usual, rtol=1e-10)
    np.testing.assert_array_equal(at(problem, problem.minimizers), [0.0])


def test_ackley_takes_any_of_its_parameters(at):
    points = points_of(FAMILIES["ackley"]())
    r, waves = np.sqrt(np.mean(points**2, axis=1)), np.mean(np.cos(3 * points), axis=1)
    usual = 7 + math.e - 7 * np.exp(-0.5 * r) - np.exp(waves)
    np.testing.assert_allclose(at(FAMILIES["ackley"](a=7, b=0.5, c=3), points), usual, rtol=1e-12)


BELOW = {"eggholder", "gramacy_lee", "holder_table", "schwefel", "mccormick", "michalewicz", "forrester"}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_minimum_of_the_box_alone_is_called_so(name):
    problem = FAMILIES[name](dim=1) if name == "michalewicz" else FAMILIES[name]()
    assert problem.box is not None and problem.minimum is not None
    assert problem.within_box == (name in BELOW)
    low, high = problem.box
    wide = np.random.default_rng(5).uniform(low - 2 * (high - low), high + 2 * (high - low), (4000, problem.dim))
    least = min(FORMULAS[name](point) for point in wide)
    assert (least < problem.minimum) == problem.within_box


def in_some_dimensions(name: str) -> Problem:
    return FAMILIES[name](dim=4) if name in ANY_DIMENSION else FAMILIES[name]()


def gaps_of(name: str, problem: Problem, points: np.ndarray) -> np.ndarray:
    return np.array([FORMULAS[name](point) for point in points]) - problem.minimum


def near_a_minimizer(problem: Problem, share: float, num: int) -> np.ndarray:
    assert problem.minimizers is not None
    return problem.minimizers[0] + share * (points_of(problem, num) - problem.minimizers[0])


@pytest.mark.parametrize("name", FORMULAS)
def test_exactly_the_separable_functions_are_sums_over_coordinates(name):
    problem = in_some_dimensions(name)
    x, y = near_a_minimizer(problem, 0.01, 2)
    straight, errors = gaps_of(name, problem, np.array([x, y])), [0.0]
    for i in range(1, problem.dim):
        mixed = [np.concatenate([x[:i], y[i:]]), np.concatenate([y[:i], x[i:]])]
        crossed = gaps_of(name, problem, np.array(mixed))
        errors.append(abs(crossed.sum() - straight.sum()) / max(*crossed, *straight))
    assert max(errors) < 1e-9 if problem.separable else max(errors) > 1e-6


@pytest.mark.parametrize("name", FORMULAS)
def test_exactly_the_convex_functions_lie_below_their_chords(name):
    problem = in_some_dimensions(name)
    points = np.concatenate([points_of(problem, 800), near_a_minimizer(problem, 0.05, 800)])
    x, y = points[::2], points[1::2]
    x, y = np.concatenate([x, x]), np.concatenate([y, x + 0.02 * (y - x)])
    ends = 0.5 * (gaps_of(name, problem, x) + gaps_of(name, problem, y))
    middle = gaps_of(name, problem, 0.5 * (x + y))
    assert (middle <= ends * (1 + 1e-12) + 1e-12).all() == problem.convex


@pytest.mark.parametrize(
    ("name", "settings", "rule"),
    [
        ("powell", {"dim": 6}, "dim must be a multiple of 4, received 6"),
        ("powell", {"dim": 2}, "dim must be an integer of at least 4, received 2"),
        ("michalewicz", {"m": 0}, "m must be an integer of at least 1, received 0"),
        ("trid", {"dim": 1}, "dim must be an integer of at least 2, received 1"),
    ],
)
def test_bad_settings_are_refused(name, settings, rule):
    with pytest.raises(SuiteError, match=f"problem '{name}': {rule}"):
        FAMILIES[name](**settings)
