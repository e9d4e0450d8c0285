"""What every problem promises, checked over the whole catalogue in float64, operation by operation.

``test_compiled.py`` compares this plain evaluation with the compiled ones, in both precisions.
"""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest

from gdbench.contracts import Problem
from gdbench.errors import SuiteError
from tests.problems.cases import CASES, FAMILIES, OPTIMIZED, STEPS, build, label
from tests.problems.drawn import compiled_with_drawn_points

LANES = 64
"""Points that are evaluated together: one number of them, so that the operations of all problems are shared."""

RANDOM = 32
"""Random points of the box; at its corners and kinks a gradient may be one of several."""

LARGE = 1000
"""Coordinates of a model that is compiled in float32 alone, since each program takes seconds to compile."""

every_problem = pytest.mark.parametrize("case", CASES, ids=map(label, CASES))


def plain(problem: Problem, points: np.ndarray, flat, in_dtype) -> tuple[np.ndarray, np.ndarray]:
    """Values [n] and gradients [n, dim] at points [n, dim], not compiled as a whole."""
    import jax
    import jax.numpy as jnp

    with in_dtype("float64"):
        f, data, parameters = flat(problem, "float64")
        both = jax.vmap(jax.value_and_grad(f), in_axes=(0, None, None))
        parts = []
        for first in range(0, len(points), LANES):
            rows = np.minimum(np.arange(first, first + LANES), len(points) - 1)
            values, gradients = both(jnp.asarray(points[rows]), data, parameters)
            parts.append((np.asarray(values), np.asarray(gradients)))
    values, gradients = (np.concatenate(each)[: len(points)] for each in zip(*parts, strict=True))
    return values, gradients


def check_compiled(problem: Problem, points: np.ndarray, values, gradients, flat, in_dtype) -> None:
    """Compiled, batched and alone, it gives what the plain evaluation gave at these points."""
    with in_dtype("float64"):
        (f, g), (f_alone, g_alone) = compiled_with_drawn_points(problem, points, 19, flat, "float64")
    size, slope = 1e-9 * np.abs(values).max(), 1e-9 * np.abs(gradients).max()
    np.testing.assert_allclose(f, values, rtol=1e-9, atol=size)
    np.testing.assert_allclose(g, gradients, rtol=1e-9, atol=slope)
    np.testing.assert_allclose(f_alone, f[19], rtol=1e-9, atol=size)
    np.testing.assert_allclose(g_alone, g[19], rtol=1e-9, atol=slope)


NO_QUADRATICS = {"bbob/f5": "a slope in its box, flat beyond it", "bbob/f7": "slopes of 0, and steps between"}
"""Problems whose gradients in the box are those of a quadratic, and which are none."""


def check_quadratic(problem: Problem, points: np.ndarray, gradients: np.ndarray) -> None:
    """It is called a quadratic if and only if its gradient is an affine function of the point."""
    if problem.dim + 6 > len(points) or problem.name in NO_QUADRATICS:
        return
    terms = np.column_stack([np.ones(len(points)), points / np.abs(points).max(axis=0)])
    left = gradients - terms @ np.linalg.lstsq(terms, gradients, rcond=None)[0]
    affine = np.all(np.abs(left).max(axis=0) <= 1e-9 * np.abs(gradients).max(axis=0))
    assert problem.quadratic == affine, np.abs(left).max()


def check_curvature(problem: Problem, flat, in_dtype) -> None:
    """The smallest and the largest curvature are eigenvalues of the Hessian."""
    import jax
    import jax.numpy as jnp

    from gdbench.kernels.compiler import jit

    assert problem.curvature is not None
    m, L = problem.curvature(problem.parameters)
    where = problem.minimizers[:16] if problem.curvature_is_local else random_points(problem, 16)
    where = where[np.minimum(np.arange(16), len(where) - 1)]
    with in_dtype("float64"):
        f, data, parameters = flat(problem, "float64")
        hessians = jit(jax.vmap(jax.hessian(f), in_axes=(0, None, None)))(jnp.asarray(where), data, parameters)
    eigenvalues = np.linalg.eigvalsh(hessians)
    # A piecewise quadratic attains its bounds somewhere, not at every sample.
    assert m - 1e-8 * abs(L) <= eigenvalues.min() and eigenvalues.max() <= L * (1 + 1e-8) + 1e-12
    if problem.curvature_is_local or problem.kinks is None:
        np.testing.assert_allclose([eigenvalues.min(), eigenvalues.max()], [m, L], rtol=1e-8, atol=1e-8 * abs(L))


def random_points(problem: Problem, num: int, seed: int = 7) -> np.ndarray:
    assert problem.box is not None
    return np.random.default_rng(seed).uniform(*problem.box, (num, problem.dim))


def corners(problem: Problem, most: int = 8) -> np.ndarray:
    """Corners of the box: all of them in few dimensions, else some."""
    assert problem.box is not None
    low, high = problem.box
    if problem.dim <= 3:
        return np.array(list(itertools.product(*zip(low, high, strict=True))))
    sides = np.random.default_rng(9).random((most, problem.dim)) < 0.5
    sides[0], sides[1] = False, True
    return np.where(sides, high, low)


def small(case) -> bool:
    return build(case).dim <= 100


@every_problem
def test_facts_are_stated_and_of_the_right_shape(case):
    problem = build(case)
    assert FAMILIES[problem.name].summary.endswith(".") and problem.formula and problem.source
    low, high = problem.box
    assert low.shape == high.shape == problem.start.shape == (problem.dim,)
    assert np.all(low < high) and np.all(low <= problem.start) and np.all(problem.start <= high)
    assert problem.stochastic == (problem.judge_every > 1) and 0 < problem.batch_share <= 1
    assert problem.stochastic or problem.batch_share == 1
    assert (problem.target is None) == (problem.target_origin == "")
    if not problem.bounded:
        assert problem.minimum is None and problem.minimizers is None
    if problem.minimizers is not None:
        assert problem.minimum is not None and problem.minimizers.shape[1:] == (problem.dim,)
        assert np.all((low <= problem.minimizers) & (problem.minimizers <= high))
        assert len(np.unique(problem.minimizers.round(9), axis=0)) == len(problem.minimizers)
    if problem.kinks is not None:
        assert problem.kinks.shape[1:] == (problem.dim,) and len(problem.kinks)
        assert np.all((low <= problem.kinks) & (problem.kinks <= high))
    assert problem.minimum is None or problem.offset in (0.0, problem.minimum)


@pytest.mark.parametrize(
    "case",
    # The fast core looks at every ninth one, and at no large model.
    [
        pytest.param(c, id=label(c), marks=() if i % 9 == 0 and small(c) else pytest.mark.slow)
        for i, c in enumerate(CASES)
    ],
)
def test_values_and_gradients_are_those_of_the_facts(case, flat, in_dtype, request):
    """Finite all over the box; nothing below the minimum; gradients agree with differences; minimizers attain it; the
    curvature is that of the Hessian.

    At its default settings the problem is also compiled, batched and alone, and compared with the plain evaluation.
    """
    problem = build(case)
    if problem.name in OPTIMIZED:
        request.getfixturevalue("compiled_for_users")
    none = np.zeros((0, problem.dim))
    kinks = none if problem.kinks is None else problem.kinks[:8]
    minimizers = none if problem.minimizers is None else problem.minimizers[:32]
    edges = [problem.start[None], corners(problem), 0.5 * (problem.box[0] + problem.box[1])[None], kinks]
    inside = np.concatenate([random_points(problem, RANDOM), *edges])
    rng = np.random.default_rng(8)
    centres, directions = random_points(problem, 4, 10), rng.standard_normal((4, problem.dim))
    step = STEPS.get(problem.name, 1e-6) * np.max(problem.box[1] - problem.box[0])
    blocks = [inside, minimizers, centres, centres + step * directions, centres - step * directions]
    values, gradients = plain(problem, np.concatenate(blocks), flat, in_dtype)
    ends = np.cumsum([len(block) for block in blocks])[:-1]
    (f, f_min, _, ahead, behind), (_, g_min, g, *_) = np.split(values, ends), np.split(gradients, ends)
    assert np.isfinite(values).all() and np.isfinite(gradients).all()
    check_quadratic(problem, inside[:RANDOM], gradients[:RANDOM])
    if not case[1] and problem.dim <= LARGE:
        check_compiled(problem, inside[:RANDOM], values[:RANDOM], gradients[:RANDOM], flat, in_dtype)
    if problem.curvature is not None:
        check_curvature(problem, flat, in_dtype)

    slopes = np.sum(g * directions, axis=1)
    step = step or np.inf
    noise = 4 * np.finfo(float).eps * np.abs(ahead).max() / step
    np.testing.assert_allclose(
        (ahead - behind) / (2 * step),
        slopes if step < np.inf else 0,
        rtol=1e-4,
        atol=1e-5 * np.abs(slopes).max() + noise,
    )
    if problem.minimum is None:
        return
    floor = problem.minimum - problem.offset
    rounding = 1e-9 * max(abs(floor), 1e-3 * (problem.offset == 0))
    assert f.min() >= floor - rounding, (f.min(), floor)
    if not len(minimizers):
        return
    np.testing.assert_allclose(f_min + problem.offset, problem.minimum, rtol=1e-9, atol=1e-9)
    low, high = problem.box
    inner = np.all((low < minimizers) & (minimizers < high), axis=1)
    smooth = np.array([not len(kinks) or np.abs(kinks - m).max(axis=1).min() > 1e-12 for m in minimizers], bool)
    if problem.kinks is None or problem.curvature is not None:
        scale = np.median(np.linalg.norm(gradients[:32], axis=1))
        assert np.abs(g_min[inner & smooth]).max(initial=0) <= 1e-7 * scale


def test_instances_share_one_objective():
    for name, family in FAMILIES.items():
        if "instance" in family.settings:
            first, second = (family(instance=i) for i in (1, 2))
            assert first.objective is second.objective and first.sample is second.sample, name


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


def test_every_family_refuses_a_dimension_that_it_has_not():
    for name, family in FAMILIES.items():
        if "dim" in family.settings:
            for dim in (0, -1, True, 2.0, "x", None):
                with pytest.raises(SuiteError) as caught:
                    family(dim=dim)
                (line,) = caught.value.problems
                assert name in line and "dim" in line and repr(dim) in line and "\n" not in line


@pytest.mark.parametrize(
    ("name", "settings", "rule"),
    [
        ("quadratic", {"dim": 0}, "dim must be an integer of at least 1, received 0"),
        ("quadratic", {"spectrum": "logg"}, "received 'logg' (did you mean 'log'"),
        ("quadratic", {"rotation": 1}, "rotation must be true or false, received 1"),
        ("quadratic", {"rotation": True, "instance": -1}, "instance must be an integer of at least 0, received -1"),
        ("rosenbrock", {"dim": 1}, "dim must be an integer of at least 2, received 1"),
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
