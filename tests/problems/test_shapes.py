"""The shapes: values by independent formulas, and what each does to gradient descent, in the numbers that it states."""

from __future__ import annotations

import math
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdbench as gd
from gdbench.kernels.compiler import jit
from gdbench.problems import shapes as folder
from tests.problems.conftest import precision

ENTRIES = {entry.name: entry for entry in folder.entries()}


def descend(name, start, rate, steps, momentum=0.0, **settings) -> np.ndarray:
    """Iterates [steps + 1, dim] of gradient descent, or of heavy ball, in float64."""
    problem = ENTRIES[name](**settings)
    with precision("float64"):

        def step(carry, _):
            x, before = carry
            slope = jax.grad(problem.objective)(x, problem.data, problem.parameters)
            moved = x - rate * slope + momentum * (x - before)
            return (moved, x), moved

        first = jnp.asarray(start, "float64")
        path = jit(lambda x: jax.lax.scan(step, (x, x), length=steps)[1])(first)
        return np.concatenate([np.asarray(first)[None], np.asarray(path)])


def outcomes(name, start, steps, dtype="float64", **axes) -> list[str]:
    return list(gd.sweep(name, "gd", x0=start, steps=steps, dtype=dtype, **axes).table["outcome"])


def first_below(values: np.ndarray, level: float) -> int:
    return int(np.argmax(values < level))


FORMULAS = {
    "saddle": lambda x: x[0] ** 2 - x[1] ** 2,
    "bounded_saddle": lambda x, escape=1.0: np.sum(x[:-1] ** 2) / 2 + escape * (x[-1] ** 2 - 1) ** 2 / 4,
    "degenerate_saddle": lambda x: x[0] ** 2 / 2 + x[1] ** 4 / 4 + x[1] ** 3 / 3,
    "monkey_saddle": lambda x: x[0] ** 3 - 3 * x[0] * x[1] ** 2,
    "staircase": lambda x, flatness=0.99: np.sum((x + flatness * np.sin(2 * np.pi * x) / (2 * np.pi)) ** 2) / 2,
    "plateau": lambda x: np.sum((np.tanh(x) - np.tanh(1)) ** 2) / 2,
    "flat_valley": lambda x: np.exp(-1 / x[0] ** 2) + np.sum(x[1:] ** 2) / 2,
    "vanishing": lambda x, tail="log": np.sum(np.log(1 + x**2) if tail == "log" else x**2 / (1 + x**2)),
    "needle": lambda x, width=0.1: 1 - np.exp(-np.sum((x - 0.3) ** 2) / (2 * width**2)),
    "deceptive": lambda x, width=0.1: np.sum(x**2 / (x**2 + width**2) * (0.25 + (x**2 / 9 - 1) ** 2)),
    "cliff": lambda x, steepness=20.0, height=10.0: (
        x[0] ** 2 / 2 * (1 + height / (1 + np.exp(-2 * steepness * (x[0] - 1)))) + np.sum(x[1:] ** 2) / 2
    ),
    "exploding": lambda x, growth=1.0: np.sum(np.cosh(growth * x) - 1),
    "fractional_power": lambda x, power=1.5: np.sum(np.abs(x) ** power),
    "ravine": lambda x, sharpness=100.0: (sharpness * (x[1] - x[0] ** 2) ** 2 + x[0] ** 2) / 2,
    "spiral": lambda x, condition=100.0, twist=2.0: turned(x, condition, twist),
    "badly_scaled": lambda x, decades=5.0: np.sum(
        (10 ** (decades * (np.arange(len(x)) / max(len(x) - 1, 1) - 0.5 * (len(x) > 1))) * x) ** 2
    ) / 2,
    "abs_ravine": lambda x, steepness=10.0: steepness * abs(x[0] - x[1]) + abs(x[0] + x[1]),
    "cubic": lambda x: x[0] ** 3,
    "endless_descent": lambda x: -np.log(1 + x[0] ** 2) / 2,
    "exponential_tail": lambda x: np.exp(-x[0]),
}  # fmt: skip


def turned(x, condition, twist):
    """The spiral in polar coordinates."""
    radius = np.hypot(*x)
    angle = math.atan2(x[1], x[0]) - twist * radius
    return radius**2 * (np.cos(angle) ** 2 + condition * np.sin(angle) ** 2) / 2


FURTHER = [
    ("bounded_saddle", {"dim": 5, "escape": 0.3}), ("staircase", {"dim": 3, "flatness": 0.5}), ("plateau", {"dim": 5}),
    ("flat_valley", {"dim": 1}), ("flat_valley", {"dim": 4}), ("vanishing", {"dim": 3, "tail": "rational"}),
    ("needle", {"dim": 3, "width": 0.4}), ("deceptive", {"dim": 1, "width": 0.5}),
    ("cliff", {"dim": 3, "steepness": 4.0, "height": 2.0}), ("exploding", {"dim": 4, "growth": 0.5}),
    ("fractional_power", {"dim": 3, "power": 0.5}), ("ravine", {"sharpness": 7.0}),
    ("spiral", {"condition": 9.0, "twist": 0.5}), ("badly_scaled", {"dim": 1}),
    ("badly_scaled", {"dim": 6, "decades": 8.0}), ("abs_ravine", {"steepness": 2.0}),
]  # fmt: skip
CASES = [(name, {}) for name in sorted(ENTRIES)] + FURTHER


def test_every_file_of_the_folder_is_read_and_every_entry_has_a_formula():
    files = {info.name for info in pkgutil.iter_modules(folder.__path__)}
    assert files == {file.__name__.rpartition(".")[2] for file in folder.FILES}
    assert set(ENTRIES) == set(FORMULAS)


@pytest.mark.parametrize(("name", "settings"), CASES, ids=[name + "-".join(map(str, s.values())) for name, s in CASES])
def test_values_are_those_of_the_formula(name, settings, at):
    problem = ENTRIES[name](**settings)
    points = np.random.default_rng(4).uniform(*problem.box, (30, problem.dim))
    usual = [FORMULAS[name](point, **{k: v for k, v in settings.items() if k != "dim"}) for point in points]
    np.testing.assert_allclose(at(problem, points) + problem.offset, usual, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("name", "settings"), [case for case in FURTHER if ENTRIES[case[0]](**case[1]).curvature])
def test_curvature_follows_the_parameters(name, settings, at):
    problem = ENTRIES[name](**settings)
    where = (
        problem.minimizers
        if problem.curvature_is_local
        else np.random.default_rng(5).uniform(*problem.box, (3, problem.dim))
    )
    eigenvalues = np.linalg.eigvalsh(at(problem, where, of=jax.hessian))
    expected = problem.curvature(problem.parameters)
    np.testing.assert_allclose(
        [eigenvalues.min(), eigenvalues.max()], expected, rtol=1e-9, atol=1e-9 * abs(expected[1])
    )


# Saddles


def test_a_saddle_is_left_exponentially():
    path = descend("saddle", [1.0, 1e-3], 0.1, 40)
    np.testing.assert_allclose(path[:, 1], 1e-3 * 1.2 ** np.arange(41), rtol=1e-12)
    assert first_below(-np.abs(path[:, 1]), -1.0) == math.ceil(math.log(1 / 1e-3) / math.log(1.2))


@pytest.mark.parametrize(("momentum", "escape"), [(0.0, 1.0), (0.0, 0.25), (0.9, 0.25)])
def test_the_time_to_leave_a_bounded_saddle(momentum, escape):
    rate, y = 0.05, 1e-8
    path = descend("bounded_saddle", [1.0, y], rate, 2500, momentum, escape=escape)[:, 1]
    b = 1 + momentum + rate * escape
    factor = (b + math.sqrt(b**2 - 4 * momentum)) / 2
    assert first_below(-path, -0.1) == pytest.approx(math.log(0.1 / y) / math.log(factor), rel=0.08)
    assert path[-1] == pytest.approx(1, abs=1e-9)
    on_the_plane = descend("bounded_saddle", [1.0, 0.0], rate, 2500, momentum, escape=escape)
    assert np.abs(on_the_plane[-1]).max() < 1e-9


@pytest.mark.slow
def test_descents_from_the_stable_plane_of_a_saddle_end_on_it():
    starts = [[1.0, 0.0], [-1.5, 0.0], [1.0, 1e-3]]
    table = gd.sweep("bounded_saddle", "gd", x0=starts, steps=1000, dtype="float64", learning_rate=[0.1]).table
    assert list(table["outcome"]) == ["trapped", "trapped", "converged"]
    assert list(table["rest"])[:2] == ["saddle", "saddle"]


@pytest.mark.slow
def test_a_degenerate_saddle_holds_a_half_plane_below_its_boundary_rate():
    y = 0.5
    boundary = 1 / (y * (y + 1))
    rates = [0.5 * boundary, 0.98 * boundary, 1.02 * boundary, 1.3 * boundary]
    assert outcomes("degenerate_saddle", [1.0, y], 4000, learning_rate=rates) == ["trapped"] * 2 + ["converged"] * 2
    path = descend("degenerate_saddle", [0.0, y], 0.5, 4000)[:, 1]
    assert path.min() > 0 and path[-1] == pytest.approx(1 / (0.5 * 4000), rel=0.02)
    assert descend("degenerate_saddle", [0.0, y], 0.5, 400, momentum=0.9)[-1, 1] == pytest.approx(-1, abs=1e-6)


def test_the_ray_into_a_monkey_saddle():
    path = descend("monkey_saddle", [0.5, 0.0], 0.1, 3000)
    assert path[-1, 0] == pytest.approx(1 / (3 * 0.1 * 3000), rel=0.02) and not path[:, 1].any()
    assert not np.all(np.abs(descend("monkey_saddle", [0.5, 1e-3], 0.1, 200)[-1]) < 1e3)


# Plateaus


@pytest.mark.parametrize("flatness", [0.999, 0.9999])
def test_the_time_to_cross_the_last_tread_of_the_staircase(flatness):
    rate = 0.05
    path = descend("staircase", [0.75], rate, 4000, dim=1, flatness=flatness)[:, 0]
    assert np.all(np.diff(path[path > 0.05]) < 0)
    assert first_below(path, 0.25) == pytest.approx(math.sqrt(2 / (1 - flatness)) / rate, rel=0.05)


def test_the_staircase_rests_nowhere_but_at_its_minimum(at):
    x = np.linspace(-4, 4, 4001)[:, None]
    slopes = at(ENTRIES["staircase"](dim=1), x, of=jax.grad)
    assert np.all((slopes * x > 0) | (np.abs(x) < 1e-12))


@pytest.mark.usefixtures("compiled_for_users")
def test_the_time_to_leave_a_plateau_and_where_its_slope_is_lost(at):
    rate, r = 0.5, 5.0
    path = descend("plateau", [-r], rate, 4000, dim=1)[:, 0]
    assert first_below(-path, 0.0) == pytest.approx(math.exp(2 * r) / (8 * rate * (1 + math.tanh(1))), rel=0.03)
    problem = ENTRIES["plateau"](dim=1)
    points = np.array([[-7.0], [-9.0], [-18.0], [-20.0]])
    assert [bool(s) for s in at(problem, points[:2], "float32", jax.grad)] == [True, False]
    assert [bool(s) for s in at(problem, points[2:], "float64", jax.grad)] == [True, False]


def test_in_a_flat_valley_the_gap_falls_and_the_iterate_stays():
    rate, steps = 0.5, 20_000
    x = descend("flat_valley", [1.0], rate, steps, dim=1)[-2:, 0]
    f = np.exp(-1 / x**2)
    assert 1 / f[1] - 1 / f[0] == pytest.approx(4 * rate * math.log(1 / f[0]) ** 3, rel=0.01)
    assert f[1] < 1e-6 and x[1] == pytest.approx(1 / math.sqrt(math.log(1 / f[1]))) and x[1] > 0.2


def test_a_flat_valley_is_exactly_flat_in_float32(at):
    points = np.array([[0.12, 0.0], [0.09, 0.0], [0.029, 0.0], [1e-30, 0.0]])
    values, slopes = at(ENTRIES["flat_valley"](), points, "float32", jax.value_and_grad)
    assert values[0] > 0 and slopes[0, 0] > 0 and not values[1:].any() and not slopes[1:].any()


@pytest.mark.parametrize(
    ("tail", "start", "steps"), [("log", 20.0, 20**2 / (4 * 0.5)), ("rational", 12.0, 12**4 / (8 * 0.5))]
)
def test_the_time_to_come_in_from_far_out(tail, start, steps):
    path = descend("vanishing", [start], 0.5, 6000, dim=1, tail=tail)[:, 0]
    assert first_below(path, 0.1) == pytest.approx(steps, rel=0.05)


def test_the_time_to_a_needle(at):
    width, rate, r = 0.1, 0.01, 5.0
    path = descend("needle", [0.3 + r * width], rate, 15_000, dim=1, width=width)[:, 0]
    predicted = width**2 / rate * math.exp(r**2 / 2) / r**2
    assert first_below(path, 0.3 + 0.5 * width) == pytest.approx(predicted, rel=0.12)
    problem = ENTRIES["needle"](dim=1, width=1.0)
    slopes = [float(at(problem, np.array([[0.3 + r]]), dtype, jax.grad)[0, 0]) for r, dtype in
              [(12.0, "float32"), (15.0, "float32"), (37.0, "float64"), (39.5, "float64")]]  # fmt: skip
    assert [slope != 0 for slope in slopes] == [True, False, True, False]


@pytest.mark.parametrize("width", [0.01, 0.1])
def test_the_pit_draws_from_where_it_says(width, at):
    edge = 0.889 * math.sqrt(3 * width)
    x = np.linspace(0.5 * edge, 1.5 * edge, 2001)
    slopes = at(ENTRIES["deceptive"](dim=1, width=width), x[:, None], of=jax.grad)[:, 0]
    assert x[first_below(slopes, 0.0)] == pytest.approx(edge, rel=0.06)
    rate = width**2 / 2.5
    ends = [descend("deceptive", [factor * edge], rate, 200_000, dim=1, width=width)[-1, 0] for factor in (0.85, 1.15)]
    assert ends[0] == pytest.approx(0, abs=1e-6) and ends[1] > 2


# Cliffs


def test_a_step_from_the_face_of_a_cliff_is_thrown(at):
    steepness, height, rate = 50.0, 20.0, 0.1
    path = descend("cliff", [1.0], rate, 1, dim=1, steepness=steepness, height=height)[:, 0]
    slope = 1 + height / 2 + height * steepness / 4
    assert path[1] == pytest.approx(1 - rate * slope, rel=1e-12)
    below, above = at(ENTRIES["cliff"](dim=1, steepness=steepness), np.array([[0.5], [2.0]]), of=jax.grad)[:, 0]
    assert (below, above) == pytest.approx((0.5, 22.0), rel=1e-6)


@pytest.mark.slow
def test_exploding_descents_converge_exactly_below_their_boundary():
    x, growth = 3.0, 1.0
    boundary = 2 * x / (growth * math.sinh(growth * x))
    found = outcomes(
        "exploding", [[x, 1.0]], 400, learning_rate=[0.5 * boundary, 0.99 * boundary, 1.01 * boundary, 2.0]
    )
    assert found[:2] == ["converged"] * 2 and set(found[2:]) <= {"diverged", "nonfinite"}


@pytest.mark.parametrize("power", [1.3, 1.5, 1.8])
def test_a_fractional_power_ends_in_its_cycle(power):
    rate = 0.1
    path = descend("fractional_power", [1.0], rate, 2000, dim=1, power=power)[:, 0]
    assert path[-1] == pytest.approx(-path[-2], rel=1e-6)
    assert abs(path[-1]) == pytest.approx((rate * power / 2) ** (1 / (2 - power)), rel=1e-6)


# Ravines


@pytest.mark.parametrize("c", [0.5, 1.0, 1.5])
def test_the_walls_of_a_ravine_steepen(c, at):
    hessian = at(ENTRIES["ravine"](sharpness=1000.0), np.array([[c, c**2]]), of=jax.hessian)[0]
    assert np.linalg.eigvalsh(hessian)[1] == pytest.approx(1000 * (1 + 4 * c**2), rel=1e-3)


def test_the_spiral_rests_nowhere_but_at_its_minimum(at):
    points = np.random.default_rng(6).uniform(-3, 3, (2000, 2))
    slopes = np.linalg.norm(at(ENTRIES["spiral"](), points, of=jax.grad), axis=1)
    # Along the ray through a point f grows like the square of the distance times at least the smaller eigenvalue.
    assert np.all(slopes > 0.01 * np.linalg.norm(points, axis=1))


@pytest.mark.parametrize(("factor", "falls"), [(0.99, True), (1.01, False)])
def test_the_boundary_rate_of_a_badly_scaled_sphere(factor, falls):
    path = descend("badly_scaled", [0.5, 0.5], factor * 2 / 10**4, 300, decades=4.0)
    assert (abs(path[-1, 1]) < 0.5) == falls
    assert path[-1, 0] == pytest.approx(0.5, rel=1e-4)  # the other coordinate has not moved


def test_descents_hop_across_the_crease_of_a_ravine(at):
    rate, steepness = 0.01, 10.0
    problem = ENTRIES["abs_ravine"](steepness=steepness)
    path = descend("abs_ravine", [1.5, 0.5], rate, 3000, steepness=steepness)[-500:]
    left = at(problem, path)
    assert left.max() <= 2 * rate * (steepness**2 + 1) and left.max() > 0.2 * rate * steepness**2
    crease = np.array([[1.0, 1.0], [1.1, 1.0], [0.9, 1.0], [1.0, 1.1], [1.0, 0.9]])
    on, *beside = at(problem, crease)
    assert min(beside) > on


# Without a minimum


UNBOUNDED = sorted(name for name, entry in ENTRIES.items() if not entry().bounded)


@pytest.mark.slow
@pytest.mark.parametrize("name", UNBOUNDED)
def test_what_has_no_minimum_is_never_called_converged(name):
    rates = gd.log_axis(1e-3, 1.0, 8)
    starts = gd.starts("sobol", 16)
    table = gd.sweep(name, "gd", starts=starts, steps=600, dtype="float32", learning_rate=rates).table
    assert not set(table["outcome"]) & {"converged", "trapped"} and ENTRIES[name]().goal == "unbounded"


def test_the_boundary_rate_of_the_cubic():
    creeps = descend("cubic", [1.0], 0.33, 10_000)[:, 0]
    assert creeps.min() > 0 and creeps[-1] == pytest.approx(1 / (3 * 0.33 * 10_000), rel=0.02)
    assert descend("cubic", [1.0], 0.34, 1)[-1, 0] < 0


def test_the_endless_descent_goes_like_a_root():
    rate, steps = 0.5, 20_000
    assert descend("endless_descent", [1.0], rate, steps)[-1, 0] == pytest.approx(math.sqrt(2 * rate * steps), rel=0.01)


def test_an_exponential_tail_reaches_its_target_and_no_minimum():
    problem, rate = ENTRIES["exponential_tail"](), 0.1
    assert (problem.goal, problem.minimum, problem.bounded) == ("target", None, True)
    f = np.exp(-descend("exponential_tail", [0.0], rate, 12_000)[:, 0])
    assert first_below(f, problem.target) == pytest.approx((1 / problem.target - 1) / rate, rel=0.01)


@pytest.mark.slow
def test_a_descent_down_an_exponential_tail_converges_to_its_target():
    # 1/f grows by the rate a step, so that 999 steps of rate 1 are needed, and 9990 of rate 0.1.
    assert outcomes("exponential_tail", [0.0], 1500, learning_rate=[0.1, 1.0]) == ["unfinished", "converged"]
