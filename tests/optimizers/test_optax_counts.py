"""Evaluations of optax's methods that search, against a function that counts its own calls; and on mini-batches."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

import gdbench as gd
from gdbench.kernels.compiler import jit
from gdbench.plan import noise_word

STEPS, START = 12, np.array([-1.2, 1.0])


def rosenbrock(x: Any) -> Any:
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


class Counting:
    """Rosenbrock's function, which counts how often it is called and how often its gradient is taken.

    The forward pass of a derivative is a call; ``jax.linearize`` asks for that alone, a gradient for the backward pass
    too. Nothing may be compiled meanwhile, or calls in a loop would count once.
    """

    def __init__(self) -> None:
        self.calls = self.gradients = 0

        @jax.custom_vjp
        def value(x: Any) -> Any:
            self.calls += 1
            return rosenbrock(x)

        def forward(x: Any) -> Any:
            self.calls += 1
            return _value_and_grad(x)

        def backward(gradient: Any, cotangent: Any) -> Any:
            self.gradients += 1
            return (cotangent * gradient,)

        value.defvjp(forward, backward)
        self.value = value

    @property
    def spent(self) -> tuple[int, int]:
        """Values alone, and values with their gradient."""
        return self.calls - self.gradients, self.gradients


_value_and_grad = jit(jax.value_and_grad(rosenbrock))


def _search(a: Any, search: Any) -> Any:
    return optax.chain(optax.sgd(a), search)


def _sam(a: Any) -> Any:
    return contrib.sam(optax.sgd(a), optax.chain(contrib.normalize(), optax.sgd(0.05)), opaque_mode=True)


MADE: dict[str, Callable[[Any], Any]] = {
    "optax/lbfgs": lambda a: optax.lbfgs(a),
    "optax/zoom_linesearch": lambda a: _search(a, optax.scale_by_zoom_linesearch(15)),
    "optax/backtracking_linesearch": lambda a: _search(a, optax.scale_by_backtracking_linesearch(15, store_grad=True)),
    "optax/contrib/sam": _sam,
}
RATES = {"optax/backtracking_linesearch": [0.01, 0.05], "optax/contrib/sam": [1e-3, 5e-4]}


@functools.cache
def by_hand(name: str, rate: float) -> np.ndarray:
    """Values and gradients spent before each step and after the last, [steps + 1, 2], in a plain loop."""
    with jax.enable_x64(True), jax.disable_jit():
        return _counted(name, rate)


def _counted(name: str, rate: float) -> np.ndarray:
    counting, rule = Counting(), MADE[name](jnp.asarray(rate))
    x, spent = jnp.asarray(START), [(0, 0)]
    state = rule.init(x)
    for _ in range(STEPS):
        if name == "optax/contrib/sam":
            grad = jax.grad(counting.value)(x)
            told = {"grad_fn": lambda p, i: jax.grad(counting.value)(p)}
        else:
            value, grad = optax.value_and_grad_from_state(counting.value)(x, state=state)
            told = {"value": value, "grad": grad, "value_fn": counting.value}
        updates, state = rule.update(grad, state, x, **told)
        x = optax.apply_updates(x, updates)
        spent.append(counting.spent)
    return np.array(spent)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MADE))
def test_every_call_of_a_search_is_counted(name: str) -> None:
    rates = RATES.get(name, [1.0, 0.3])
    flags = {"opaque_mode": True} if name == "optax/contrib/sam" else {}
    results = gd.sweep(
        rosenbrock, name, x0=START[None], minimum=0.0, learning_rate=rates, steps=STEPS, dtype="float64",
        targets=gd.log_axis(1e-2, 30.0, 13), trace=STEPS, **flags,
    ).results  # fmt: skip
    table, hit, tried = results.table(), 0, 0
    for rate, row in zip(rates, table.to_dict("records"), strict=True):
        spent = by_hand(name, rate)
        assert (row["f_evals"], row["g_evals"], row["hvp_evals"]) == (*spent[-1], 0)
        if not flags:  # sam asks the same of every step, and counts no further
            kept = len(row["trace_g_evals"])
            steps = results.cells[0]["trace_steps"][:kept]
            np.testing.assert_array_equal(np.stack([row["trace_f_evals"], row["trace_g_evals"]], 1), spent[steps])
            for k, f, g in zip(row["hits"], row["hits_f_evals"], row["hits_g_evals"], strict=True):
                hit += k > 0
                assert (f, g) == (tuple(spent[k]) if k >= 0 else (-1, -1))
        tried = max(tried, spent[-1].sum())
    assert flags or (hit and tried > STEPS + 1), "no target was hit, or every search ended at its first try"


@pytest.mark.slow
def test_sam_is_judged_at_its_real_points() -> None:
    options = {"x0": START[None], "minimum": 0.0, "learning_rate": 1e-3, "dtype": "float64", "paths": 1, "trace": 16}
    seen = gd.sweep(rosenbrock, "optax/contrib/sam", steps=16, **options).results
    whole = gd.sweep(rosenbrock, "optax/contrib/sam", steps=8, opaque_mode=True, **options).results
    seen_row, whole_row = (r.table().iloc[0] for r in (seen, whole))
    seen_path, whole_path = (np.reshape(row["path"], (-1, 2)) for row in (seen_row, whole_row))
    # With all its moves in sight every second iterate is one of the whole steps, which cost two gradients each.
    at = [seen.cells[0]["path_steps"].index(2 * k) for k in whole.cells[0]["path_steps"]]
    np.testing.assert_allclose(seen_path[at], whole_path, rtol=1e-12)
    assert seen_row["g_evals"] == whole_row["g_evals"] == 16
    # In between it is judged where it came from.
    judged = dict(zip(seen.cells[0]["trace_steps"], seen_row["trace_gap"], strict=True))
    real = dict(zip(whole.cells[0]["trace_steps"], whole_row["trace_gap"], strict=True))
    for k, gap in judged.items():
        assert gap == pytest.approx(real[k // 2], rel=1e-12)


def _on_batches(name: str) -> tuple[Any, list[np.ndarray], list[int]]:
    """A sweep on a problem of mini-batches, and the same by hand with the batch of each step: iterates, tries."""
    steps, problem = 12, gd.problem("noisy_quadratic")
    swept = gd.sweep(problem, name, learning_rate=0.5, steps=steps, dtype="float64", paths=1, seed=3).results
    with jax.enable_x64(True):
        made = {
            "optax/backtracking_linesearch": lambda: _search(0.5, optax.scale_by_backtracking_linesearch(15)),
            "optax/lbfgs": lambda: optax.lbfgs(0.5),
        }[name]()
        key = jax.random.key(np.uint32(3))
        for word in (np.uint32(noise_word(problem)), 0, 0):
            key = jax.random.fold_in(key, word)
        data = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), problem.data)
        assert problem.sample is not None and problem.start is not None

        @jit
        def step(x: Any, state: Any, batch: Any) -> Any:
            def value_fn(x: Any) -> Any:
                return problem.objective(x, batch, problem.parameters)

            value, grad = jax.value_and_grad(value_fn)(x)
            updates, state = made.update(grad, state, x, value=value, grad=grad, value_fn=value_fn)
            return optax.apply_updates(x, updates), state

        x = jnp.asarray(problem.start)
        state, path, tries = made.init(x), [x], []
        for k in range(steps):
            x, state = step(x, state, problem.sample(data, jax.random.fold_in(key, k)))
            path.append(x)
            tries.append(int(state[-1].info.num_linesearch_steps))
    return swept, [np.asarray(x) for x in path], tries


@pytest.mark.slow
@pytest.mark.parametrize("name", ["optax/lbfgs", "optax/backtracking_linesearch"])
def test_a_search_on_a_mini_batch_sees_the_batch_of_its_step_alone(name: str) -> None:
    swept, path, tries = _on_batches(name)
    row = swept.table().iloc[0]
    np.testing.assert_allclose(
        np.reshape(row["path"], (-1, 2)), np.stack(path)[swept.cells[0]["path_steps"]], rtol=1e-11
    )
    # The value and the gradient at x are asked for anew in every step, for the batch is another.
    tried = {"f": 0, "g": sum(tries)} if "backtracking" not in name else {"f": sum(tries), "g": 0}
    assert (row["f_evals"], row["g_evals"]) == (tried["f"], tried["g"] + len(tries))


@pytest.mark.slow
def test_a_users_own_search_is_run_and_counted_like_the_named_one() -> None:
    own = optax.chain(optax.sgd(1.0), optax.scale_by_zoom_linesearch(15))
    row = gd.sweep(rosenbrock, own, x0=START[None], minimum=0.0, steps=STEPS, dtype="float64").table.iloc[0]
    assert (row["f_evals"], row["g_evals"]) == tuple(by_hand("optax/zoom_linesearch", 1.0)[-1])
