"""Facts that decide how some methods step: sums of squares, and what transforms leave of that and of a quadratic.

That a problem is called a quadratic if and only if it is one, ``test_catalogue.py`` checks.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdbench as gd
from gdbench.catalogue import gather
from gdbench.choices import resolve_problem
from gdbench.contracts import Problem, ProblemFamily

FAMILIES = gather("gdbench.problems", ProblemFamily)
SUMS: list[tuple[str, dict[str, Any]]] = [
    (name, {}) for name in FAMILIES if not name.startswith("cutest/") and FAMILIES[name]().residuals is not None
] + [
    ("rosenbrock", {"dim": 5}), ("powell", {"dim": 8}), ("dixon_price", {"dim": 4}), ("zakharov", {"dim": 3}),
    ("quadratic", {"dim": 4, "rotation": True, "spectrum": "linear"}), ("trigonometric", {"dim": 4}),
    ("variably_dimensioned", {"dim": 5}), ("brown_almost_linear", {"dim": 5}), ("ridge_regression", {"batch": 20}),
    ("rosenbrock", {"transform": ["shift", "rotate", "scale"]}), ("booth", {"transform": "embed"}),
    ("himmelblau", {"transform": "oscillate"}),
]  # fmt: skip


def _inputs(problem: Problem, points: int, seed: int) -> tuple[np.ndarray, Any, dict[str, Any]]:
    """Points of the box, shape [points, dim], data of one evaluation and parameters."""
    assert problem.box is not None
    low, high = (np.broadcast_to(end, (problem.dim,)) for end in problem.box)
    xs = np.random.default_rng(seed).uniform(low, high, (points, problem.dim))
    data = jax.tree.map(jnp.asarray, problem.data)
    return xs, data if problem.sample is None else problem.sample(data, jax.random.key(3)), dict(problem.parameters)


def test_there_are_many_sums_of_squares() -> None:
    assert len(SUMS) > 30


@pytest.mark.parametrize("name, settings", SUMS, ids=lambda told: told if isinstance(told, str) else str(len(told)))
def test_squares_of_the_residuals_add_up_to_the_objective(name: str, settings: dict[str, Any]) -> None:
    with jax.enable_x64(True):
        problem = resolve_problem(name, **settings)
        assert problem.residuals is not None
        xs, data, parameters = _inputs(problem, 5, 1)
        for x in xs:
            r = problem.residuals(jnp.asarray(x), data, parameters)
            assert r.ndim == 1 and r.dtype == np.float64
            np.testing.assert_allclose(jnp.sum(r**2), problem.objective(jnp.asarray(x), data, parameters), rtol=1e-11)
        assert (
            problem.residuals(jnp.asarray(xs[0], "float32"), jax.tree.map(_single, data), parameters).dtype == "float32"
        )


def _single(a: Any) -> Any:
    return a.astype("float32") if jnp.issubdtype(a.dtype, jnp.floating) else a


def test_a_quadratic_of_many_dimensions_has_one_hessian() -> None:
    with jax.enable_x64(True):
        problem = gd.problem("quadratic_deep")
        assert problem.quadratic
        (a, b), data, parameters = _inputs(problem, 2, 4)
        first, second = (jax.hessian(lambda x: problem.objective(x, data, parameters))(jnp.asarray(x)) for x in (a, b))
        np.testing.assert_allclose(first, second, rtol=1e-12, atol=1e-12)
        assert np.linalg.eigvalsh(first)[-1] == pytest.approx(problem.curvature({})[1], rel=1e-9)


def test_transforms_keep_what_they_leave_true() -> None:
    for transform, kept in (
        ("shift", (True, True)), ("rotate", (True, True)), ("scale", (True, True)), ("embed", (True, True)),
        ("oscillate", (False, True)), ("asymmetric", (False, True)), ("penalty", (False, False)),
        ("additive_noise", (True, False)), ("heavy_tailed_noise", (True, False)),
        ("multiplicative_noise", (False, False)),
    ):  # fmt: skip
        changed = resolve_problem("booth", transform=transform)
        assert (changed.quadratic, changed.residuals is not None) == kept, transform
    assert not gd.problem("rosenbrock").quadratic
