"""What every problem promises, checked over the whole catalogue."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from gdbench.catalogue import gather
from gdbench.contracts import Problem, ProblemFamily
from gdbench.errors import SuiteError

FAMILIES = gather("gdbench.problems", ProblemFamily)

# Settings worth a test beside the defaults.
FURTHER = [
    ("quadratic", {"dim": 1, "condition": 7.0}),
    ("quadratic", {"dim": 5, "spectrum": "linear", "condition": 0.5}),
    ("quadratic", {"dim": 6, "rotation": True, "instance": 3}),
    ("quartic", {"dim": 3}),
    ("double_well", {"dim": 3}),
    ("double_well", {"dim": 6}),
    ("rosenbrock", {"dim": 5}),
    ("rastrigin", {"dim": 4}),
    ("digits_softmax", {"batch": 1797}),
]
CASES = [(name, {}) for name in FAMILIES] + FURTHER
every_problem = pytest.mark.parametrize(
    "problem", [FAMILIES[name](**settings) for name, settings in CASES], ids=[f"{n}-{s}" for n, s in CASES]
)


def random_points(problem: Problem, num: int) -> np.ndarray:
    assert problem.box is not None
    low, high = problem.box
    return np.random.default_rng(7).uniform(low, high, (num, problem.dim))


def gradient_of(f):
    import jax

    return jax.value_and_grad(f)


@every_problem
def test_facts_are_stated_and_of_the_right_shape(problem):
    assert FAMILIES[problem.name].summary.endswith(".") and problem.formula and problem.source
    low, high = problem.box
    assert low.shape == high.shape == problem.start.shape == (problem.dim,)
    assert np.all(low < high) and np.all(low <= problem.start) and np.all(problem.start <= high)
    assert problem.stochastic == (problem.batch_share < 1) == (problem.judge_every > 1)
    if problem.minimizers is not None:
        assert problem.minimizers.ndim == 2 and problem.minimizers.shape[1] == problem.dim
        assert np.all((low < problem.minimizers) & (problem.minimizers < high))
        assert len(np.unique(problem.minimizers.round(6), axis=0)) == len(problem.minimizers)


@every_problem
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_gradients_are_finite_in_the_box_and_not_below_the_minimum(problem, dtype, at):
    edges = np.stack([*problem.box, problem.start, 0.5 * (problem.box[0] + problem.box[1])])
    points = np.concatenate([random_points(problem, 64), edges])
    values, gradients = at(problem, points, dtype, gradient_of)
    assert np.isfinite(values).all() and np.isfinite(gradients).all()
    if problem.minimum is not None:
        # The objective is the gap, so nothing is below 0: not even by a rounding error.
        assert problem.minimum == problem.offset and values.min() >= 0


@every_problem
def test_gradient_is_that_of_the_values(problem, at):
    rng = np.random.default_rng(8)
    points = random_points(problem, 4)
    directions = rng.standard_normal(points.shape)
    step = 1e-5 * np.max(problem.box[1] - problem.box[0])
    _, gradients = at(problem, points, of=gradient_of)
    ahead, behind = at(problem, points + step * directions), at(problem, points - step * directions)
    slopes = np.sum(gradients * directions, axis=1)
    np.testing.assert_allclose((ahead - behind) / (2 * step), slopes, rtol=1e-5, atol=1e-6 * np.abs(slopes).max())


@every_problem
def test_minimizers_attain_the_minimum_and_are_at_rest(problem, at, in_dtype):
    if problem.minimizers is None:
        assert problem.minimum is None
        return
    values, gradients = at(problem, problem.minimizers, of=gradient_of)
    scale = np.abs(at(problem, random_points(problem, 16), of=gradient_of)[1]).max()
    assert np.abs(values).max() < 1e-24 * max(scale, 1) and np.abs(gradients).max() < 1e-12 * scale
    with in_dtype("float64"):
        for minimizer in problem.minimizers:
            assert float(problem(np.asarray(minimizer))) == pytest.approx(problem.minimum, abs=1e-14)


@every_problem
def test_curvature_is_that_of_the_hessian(problem, at):
    import jax

    if problem.curvature is None:
        assert problem.template is not None  # a model: nothing is known of it
        return
    m, L = problem.curvature(problem.parameters)
    where = problem.minimizers if problem.curvature_is_local else random_points(problem, 4)
    eigenvalues = np.linalg.eigvalsh(at(problem, where, of=jax.hessian))
    assert (eigenvalues.min(), eigenvalues.max()) == pytest.approx((m, L), rel=1e-9, abs=1e-9)


def test_instances_share_one_compiled_program(in_dtype):
    import jax

    for name, family in FAMILIES.items():
        if "instance" not in family.settings:
            continue
        for settings in ({}, {"rotation": True}):
            first, second = (family(**settings, instance=i) for i in (0, 1))
            assert first.objective is second.objective, name
            with in_dtype("float32"):
                jitted = jax.jit(first.objective)
                values = {float(jitted(p.start, p.data, p.parameters)) for p in (first, second)}
                assert jitted._cache_size() == 1
            assert len(values) == 1 + bool(settings)


def test_listing_and_building_do_not_import_jax_and_importing_not_sklearn():
    code = """if True:
        import sys
        from gdbench.catalogue import gather
        from gdbench.contracts import ProblemFamily
        families = gather("gdbench.problems", ProblemFamily)
        assert not {"jax", "sklearn", "scipy"} & set(sys.modules)
        assert len([family() for family in families.values()]) == len(families)
        assert "jax" not in sys.modules"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "settings", "rule"),
    [
        ("quadratic", {"dim": 0}, "dim must be an integer of at least 1, received 0"),
        ("quadratic", {"dim": True}, "dim must be an integer of at least 1, received True"),
        ("quadratic", {"dim": 2.0}, "received 2.0"),
        (
            "quadratic",
            {"spectrum": "logg"},
            "spectrum must be one of 'log', 'linear', received 'logg' (did you mean 'l",
        ),
        ("quadratic", {"rotation": 1}, "rotation must be true or false, received 1"),
        ("quadratic", {"rotation": True, "instance": -1}, "instance must be an integer of at least 0, received -1"),
        ("rosenbrock", {"dim": 1}, "dim must be an integer of at least 2, received 1"),
        ("rastrigin", {"dim": "x"}, "received 'x'"),
        ("quartic", {"dim": None}, "received None"),
        ("double_well", {"dim": -3}, "received -3"),
        ("digits_softmax", {"batch": 1798}, "batch must be an integer from 1 to 1797, received 1798"),
        ("digits_softmax", {"batch": 0}, "received 0"),
    ],
)
def test_bad_settings_are_refused_in_one_line(name, settings, rule):
    with pytest.raises(SuiteError) as caught:
        FAMILIES[name](**settings)
    (line,) = caught.value.problems
    assert line.startswith(f"problem {name!r}: ") and rule in line and "\n" not in line


def test_all_bad_settings_are_named_at_once():
    with pytest.raises(SuiteError) as caught:
        FAMILIES["quadratic"](dim=0, spectrum="foo", rotation="yes", instance="a")
    assert len(caught.value.problems) == 4


def test_numpy_integers_are_integers():
    assert FAMILIES["rosenbrock"](dim=np.int64(3)).dim == 3
