"""Every optimizer of optax in a sweep against the same one run by hand: each iterate, and where it is judged."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree
from optax import contrib

import gdbench as gd
from gdbench.catalogue import gather
from gdbench.contracts import Optimizer
from gdbench.kernels.compiler import jit
from gdbench.kernels.run import OWN_NOISE
from gdbench.plan import noise_word

CATALOGUE = gather("gdbench.optimizers", Optimizer)
NAMES = sorted(name.removeprefix("optax/") for name in CATALOGUE if name.startswith("optax/"))
STEPS, LOWEST = 24, 3.0
START = {"matrix": np.array([[-1.2, 1.0], [0.4, -0.3]]), "vector": np.array([0.2, 0.7])}


def valley(p: Any) -> Any:
    """A chain of shallow Rosenbrock valleys through a matrix and a vector, with a minimum that is not 0."""
    z = jnp.concatenate([p["matrix"].ravel(), p["vector"]])
    return LOWEST + jnp.sum(5 * (z[1:] - z[:-1] ** 2) ** 2 + (1 - z[:-1]) ** 2)


def _key() -> Any:
    """The key that the only start's only noise seed gives an optimizer before the first step."""
    problem = gd.problem(valley, x0=START, minimum=LOWEST)
    key = jax.random.key(np.uint32(0))
    for word in (np.uint32(noise_word(problem)), 0, 0, STEPS, OWN_NOISE):
        key = jax.random.fold_in(key, word)
    return key


def _worst() -> Any:
    return optax.chain(contrib.normalize(), optax.sgd(0.05))


def _search(search: Any) -> Any:
    return lambda a: optax.chain(optax.sgd(a), search)


# What has to be said beside the rate; without a line here it is the constructor with a rate alone.
MADE: dict[str, Callable[[Any], Any]] = {
    "adamaxw": lambda a: optax.adamaxw(a, weight_decay=0.0),
    "adamw": lambda a: optax.adamw(a, weight_decay=0.0),
    "backtracking_linesearch": _search(optax.scale_by_backtracking_linesearch(15, store_grad=False)),
    "contrib/dpsgd": lambda a: contrib.dpsgd(a, 1.0, 1.1, jax.random.bits(_key(), (), jnp.uint32)),
    "contrib/mechanize": lambda a: contrib.mechanize(optax.sgd(a), weight_decay=0.0),
    "contrib/momo": lambda a: contrib.momo(a, lower_bound=LOWEST),
    "contrib/momo_adam": lambda a: contrib.momo_adam(a, lower_bound=LOWEST),
    "contrib/reduce_on_plateau": lambda a: optax.chain(optax.sgd(a), contrib.reduce_on_plateau()),
    "contrib/sam": lambda a: contrib.sam(optax.sgd(a), _worst()),
    "contrib/schedule_free": lambda a: contrib.schedule_free(optax.sgd(a), a),
    "contrib/sophia": lambda a: contrib.sophia(
        a, weight_decay=0.0, hessian_diagonal_fn=contrib.hutchinson_estimator_diag_hessian(_key())
    ),
    "lion": lambda a: optax.lion(a, weight_decay=0.0),
    "lookahead": lambda a: optax.lookahead(optax.sgd(a), 5, 0.5),
    "nadamw": lambda a: optax.nadamw(a, weight_decay=0.0),
    "noisy_sgd": lambda a: optax.noisy_sgd(a, key=_key()),
    "polyak_sgd": lambda a: optax.polyak_sgd(max_learning_rate=a, f_min=LOWEST),
    "zoom_linesearch": _search(optax.scale_by_zoom_linesearch(15)),
}
TOLD = {
    "backtracking_linesearch": ("value", "grad", "value_fn"),
    "contrib/momo": ("value",),
    "contrib/momo_adam": ("value",),
    "contrib/reduce_on_plateau": ("value",),
    "contrib/sophia": ("obj_fn",),
    "lbfgs": ("value", "grad", "value_fn"),
    "polyak_sgd": ("value",),
    "zoom_linesearch": ("value", "grad", "value_fn"),
}
RATES = {
    "adadelta": (0.5, 1.0), "backtracking_linesearch": (0.5, 1.0), "contrib/dadapt_adamw": (0.5, 1.0),
    "contrib/dog": (0.5, 1.0), "contrib/dowg": (0.5, 1.0), "contrib/prodigy": (0.5, 1.0), "lars": (0.5, 1.0),
    "lbfgs": (0.5, 1.0), "radam": (1e-4, 1e-3), "zoom_linesearch": (0.5, 1.0),
}  # fmt: skip

# Both compute a power or a root of the step in float32, which differs in its last bits from program to program.
FLOAT32_INSIDE = ("adafactor", "contrib/madgrad")


def _constructor(name: str) -> Callable[[Any], Any]:
    owner = contrib if name.startswith("contrib/") else optax
    return MADE.get(name) or getattr(owner, name.removeprefix("contrib/"))


def _judged(name: str, params: Any, state: Any, real: Any) -> Any:
    """Where the point of a method stands that wants to be judged elsewhere than at its iterate."""
    if name == "lookahead":
        return params.slow
    if "schedule_free" in name:
        return contrib.schedule_free_eval_params(state, params)
    return real if name == "contrib/sam" else params


def by_hand(name: str, rates: Any) -> list[tuple[np.ndarray, float]]:
    """For each rate the iterates [steps + 1, 6], and the value at the point that is judged in the end."""
    make = _constructor(name)
    fast = (lambda p: p.fast) if name == "lookahead" else (lambda p: p)

    @jit
    def step(a: Any, params: Any, state: Any) -> Any:
        value, grad = jax.value_and_grad(valley)(fast(params))
        offered = {"value": value, "grad": grad, "value_fn": valley, "obj_fn": valley}
        told = {n: offered[n] for n in TOLD.get(name, ())}
        given = jax.tree.map(lambda g: g[None], grad) if name == "contrib/dpsgd" else grad
        updates, state = make(a).update(given, state, params, **told)
        return optax.apply_updates(params, updates), state

    found = []
    for rate in map(jnp.asarray, rates):
        params: Any = jax.tree.map(jnp.asarray, START)
        if name == "lookahead":
            params = optax.LookaheadParams.init_synced(params)
        state, real, path = make(rate).init(params), params, [fast(params)]
        for k in range(STEPS):
            params, state = step(rate, params, state)
            path.append(fast(params))
            real = params if k % 2 else real  # of interest to sam alone: its second step is the real one
        end = float(valley(_judged(name, params, state, real)))
        found.append((np.stack([ravel_pytree(p)[0] for p in path]), end))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_iterate_is_that_of_optax(name: str) -> None:
    rates = RATES.get(name, (1e-3, 1e-2))
    options = {"x0": START, "minimum": LOWEST, "steps": STEPS, "dtype": "float64", "paths": 9}
    # No warning of optax's may leak from a sweep.
    results = gd.sweep(valley, f"optax/{name}", learning_rate=list(rates), **options).results
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        hand = by_hand(name, rates)
    recorded = results.cells[0]["path_steps"]
    assert len(recorded) > 20
    tolerance = 1e-6 if name in FLOAT32_INSIDE else 1e-12
    for (path, judged), row in zip(hand, results.table().to_dict("records"), strict=True):
        assert np.abs(path[-1] - path[0]).max() > 1e-6, "it hardly moved: nothing was compared"
        np.testing.assert_allclose(np.reshape(row["path"], (-1, 6)), path[recorded], rtol=0, atol=tolerance)
        assert row["f_final"] == pytest.approx(judged, rel=tolerance)
