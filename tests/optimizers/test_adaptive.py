"""Rules of ours that optax has not, or not as published: against the published formulas, written out in NumPy."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

import gdbench as gd
from gdbench.optimizers.adaptive import amsgrad, normalized_gd, rprop
from gdbench.optimizers.own import quasi_hyperbolic
from tests.optimizers.walks import oracle_of, path, rosenbrock

START = np.array([-1.2, 1.0, 0.3])


def gradient(x: np.ndarray) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(jax.grad(rosenbrock)(x))


def expected(step: Any, steps: int, start: np.ndarray = START) -> np.ndarray:
    """Iterates of step(x, g, k, memory) -> x, memory being a dict of its own."""
    x, memory, found = start.copy(), {}, []
    for k in range(steps):
        x = step(x, gradient(x), k, memory)
        found.append(x)
    return np.array(found)


def test_amsgrad_is_the_published_algorithm() -> None:
    def step(x: Any, g: Any, k: int, memory: Any) -> Any:
        m = memory["m"] = 0.8 * memory.get("m", 0) + 0.2 * g
        v = memory["v"] = 0.95 * memory.get("v", 0) + 0.05 * g**2
        memory["largest"] = np.maximum(memory.get("largest", 0), v)
        return x - 0.01 * m / np.sqrt(memory["largest"])

    ours = path(amsgrad, oracle_of(rosenbrock), START, 60, learning_rate=0.01, b1=0.8, b2=0.95)
    np.testing.assert_allclose(ours, expected(step, 60), rtol=1e-12)


def test_amsgrad_stands_still_where_no_gradient_was_ever_seen() -> None:
    only_first = lambda x: x[0] ** 2  # noqa: E731
    ours = path(amsgrad, oracle_of(only_first), np.array([1.0, 2.0]), 5, learning_rate=0.1)
    assert (ours[:, 1] == 2).all() and (np.diff(ours[:, 0]) < 0).all()


def test_quasi_hyperbolic_is_the_published_algorithm() -> None:
    def step(x: Any, g: Any, k: int, memory: Any) -> Any:
        m = memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * g
        return x - 1e-3 * (0.4 * g + 0.6 * m)

    given = {"learning_rate": 1e-3, "momentum": 0.9, "nu": 0.6}
    ours = path(quasi_hyperbolic, oracle_of(rosenbrock), START, 100, **given)
    np.testing.assert_allclose(ours, expected(step, 100), rtol=1e-12)


def test_rprop_is_the_published_algorithm() -> None:
    def step(x: Any, g: Any, k: int, memory: Any) -> Any:
        size = memory.setdefault("size", np.full(3, 0.1))
        before = memory.setdefault("g", np.zeros(3))
        g = g.copy()
        for i in range(3):
            if g[i] * before[i] > 0:
                size[i] = min(1.3 * size[i], 0.12)
            elif g[i] * before[i] < 0:
                size[i], g[i] = max(0.4 * size[i], 0.01), 0.0
        memory["g"] = g
        return x - np.sign(g) * size

    given = {"learning_rate": 0.1, "eta_plus": 1.3, "eta_minus": 0.4, "step_max": 0.12, "step_min": 0.01}
    ours = path(rprop, oracle_of(rosenbrock), START, 120, **given)
    np.testing.assert_allclose(ours, expected(step, 120), rtol=1e-12, atol=1e-14)
    moves = np.abs(np.diff(ours, axis=0))
    assert moves.max() == pytest.approx(0.12) and moves[moves > 1e-9].min() == pytest.approx(0.01)


def test_normalized_steps_are_as_long_as_the_rate_whatever_the_slope() -> None:
    for scale in (1e-150, 1.0, 1e150):
        ours = path(
            normalized_gd, oracle_of(lambda x, s=scale: s * (x @ x)), np.array([3.0, 4.0]), 4, learning_rate=0.5
        )
        np.testing.assert_allclose(np.linalg.norm(ours, axis=1), [4.5, 4.0, 3.5, 3.0], rtol=1e-12)
    at_rest = path(normalized_gd, oracle_of(lambda x: x @ x), np.zeros(2), 3, learning_rate=0.5)
    assert (at_rest == 0).all()


@pytest.mark.slow
def test_a_schedule_scales_the_steps_of_rprop() -> None:
    # Far from the minimum every step grows by 1.2; the rate falls to 0 at the last step, and brings no NaN.
    common = {
        "learning_rate": 1e-3,
        "x0": [[1000.0]],
        "steps": 11,
        "dtype": "float64",
        "paths": 12,
        "outcomes": {"scale": 1e6},
    }
    row = gd.sweep("parabola", "rprop", schedule="linear", **common).table.iloc[0]
    moves = -np.diff(np.ravel(row["path"]))
    np.testing.assert_allclose(moves, 1e-3 * 1.2 ** np.arange(11) * (1 - np.arange(11) / 10), rtol=1e-8, atol=1e-12)
