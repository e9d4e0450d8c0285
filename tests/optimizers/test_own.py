"""The rules of our own: equal to optax's step by step, with formula, source and the origin of every default."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

import gdbench as gd
from gdbench.catalogue import gather
from gdbench.choices import resolve_optimizer
from gdbench.contracts import Cost, Hyperparameter, Optimizer, Oracle, Step
from gdbench.errors import SuiteError

STEPS = 200
CATALOGUE = gather("gdbench.optimizers", Optimizer)
OURS = sorted(name for name in CATALOGUE if "/" not in name)

# The same hyperparameters under both sets of names; none is a default, so that a name left out would show.
PAIRS: dict[str, tuple[dict[str, float], Any]] = {
    "gd": ({}, lambda rate: optax.sgd(rate)),
    "momentum": ({"momentum": 0.8}, lambda rate: optax.sgd(rate, momentum=0.8)),
    "nesterov": ({"momentum": 0.8}, lambda rate: optax.sgd(rate, momentum=0.8, nesterov=True)),
    "adagrad": ({"initial_accumulator": 0.2, "eps": 1e-6}, lambda rate: optax.adagrad(rate, 0.2, 1e-6)),
    "rmsprop": ({"decay": 0.95, "eps": 1e-6}, lambda rate: optax.rmsprop(rate, 0.95, 1e-6)),
    "adam": ({"b1": 0.85, "b2": 0.99, "eps": 1e-6}, lambda rate: optax.adam(rate, 0.85, 0.99, 1e-6)),
    "ema_momentum": (
        {"momentum": 0.8},
        lambda rate: optax.chain(optax.ema(0.8, debias=False), optax.scale(-rate)),
    ),
    "decayed_gd": ({"weight_decay": 0.3}, lambda rate: optax.chain(optax.add_decayed_weights(0.3), optax.sgd(rate))),
    "normalized_gd": (
        {},
        lambda rate: optax.chain(optax.normalize_by_update_norm(eps=0.0), optax.scale(-rate)),
    ),
}
RATES = {
    "rosenbrock": {
        "gd": 5e-4, "momentum": 1e-4, "nesterov": 1e-4, "adagrad": 0.1, "rmsprop": 0.01, "adam": 0.05,
        "ema_momentum": 1e-3, "decayed_gd": 5e-4, "normalized_gd": 0.01,
    },
    "quadratic": {
        "gd": 0.15, "momentum": 0.1, "nesterov": 0.05, "adagrad": 0.5, "rmsprop": 0.01, "adam": 0.1,
        "ema_momentum": 0.5, "decayed_gd": 0.15, "normalized_gd": 0.013,
    },
}  # fmt: skip


def _oracle(function: Any) -> Oracle:
    return Oracle(function, jax.value_and_grad(function), lambda x: x, lambda x: x, False)


def _our_path(name: str, function: Any, x0: Any, rate: float) -> Any:
    rule, oracle = CATALOGUE[name], _oracle(function)
    h = SimpleNamespace(learning_rate=jnp.asarray(rate), **{n: jnp.asarray(v) for n, v in PAIRS[name][0].items()})

    def step(carry: Any, k: Any) -> Any:
        after = rule.step(oracle, carry[0], carry[1], h, k)
        return (after.x, after.state), after.x

    return lax.scan(step, (x0, rule.init(oracle, x0, h)), jnp.arange(STEPS))[1]


def _optax_path(transformation: Any, function: Any, x0: Any) -> Any:
    def step(carry: Any, _: Any) -> Any:
        x, state = carry
        updates, state = transformation.update(jax.grad(function)(x), state, x)
        x = optax.apply_updates(x, updates)
        return (x, state), x

    return lax.scan(step, (x0, transformation.init(x0)), length=STEPS)[1]


@pytest.mark.parametrize("problem", sorted(RATES))
def test_our_rules_equal_optax_step_by_step(problem: str) -> None:
    function = gd.problem(problem)
    with jax.enable_x64(True):
        x0 = jnp.asarray(function.start)

        @jax.jit
        def both() -> Any:
            rates = RATES[problem]
            ours = {n: _our_path(n, function, x0, rates[n]) for n in PAIRS}
            return ours, {n: _optax_path(make(rates[n]), function, x0) for n, (_, make) in PAIRS.items()}

        ours, theirs = jax.tree.map(np.asarray, both())
    for name in PAIRS:
        assert ours[name].dtype == np.float64
        assert np.abs(ours[name][-1] - np.asarray(x0)).max() > 1e-2, f"{name} hardly moved: nothing was compared"
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.slow
def test_a_sweep_runs_the_rule_as_it_stands() -> None:
    options = {"learning_rate": [0.02, 0.1], "x0": [[1.0, -2.0]], "steps": 100, "dtype": "float64", "paths": 9}
    ours = gd.sweep("quadratic", "momentum", momentum=[0.5, 0.9], **options).table
    theirs = gd.sweep("quadratic", "optax/sgd", momentum=[0.5, 0.9], **options).table
    np.testing.assert_allclose(np.stack(ours["path"]), np.stack(theirs["path"]), rtol=1e-12, atol=1e-14)
    assert (ours["g_evals"] == 100).all()


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_optimizer_says_what_it_is(name: str) -> None:
    optimizer = CATALOGUE[name]
    assert optimizer.formula and optimizer.source
    for parameter, spec in optimizer.hyperparameters.items():
        assert spec.origin, f"{parameter}: where does its default come from?"
        assert spec.default is not None or spec.optional or spec.static or parameter == "learning_rate"


@pytest.mark.parametrize("name", OURS)
def test_the_formula_of_our_rules_names_every_hyperparameter(name: str) -> None:
    symbols = {
        "learning_rate": "α", "momentum": "β", "b1": "β₁", "b2": "β₂", "eps": "ε", "decay": "ρ", "increment": "δ",
        "learning_rate_1": "α₁", "nu": "ν", "weight_decay": "w", "sigma": "σ",
        "eta_plus": "η⁺", "eta_minus": "η⁻", "step_max": "Δmax", "step_min": "Δmin",
    }  # fmt: skip
    # What has no symbol stands there by its name; a setting may stand in the text below the formula.
    for parameter, spec in CATALOGUE[name].hyperparameters.items():
        assert spec.static or symbols.get(parameter, parameter) in CATALOGUE[name].formula, parameter


def test_trial_and_error_counts_every_value_it_asks_for() -> None:
    # From 0.23: up is worse, down is better (2 values), to 0.13, to 0.03, and there neither is (2 values).
    # From -0.23: up is better at once (1 value), to -0.13, to -0.03, and there neither is. One value more at the start.
    table = gd.sweep(
        "parabola", "trial_and_error", increment=0.1, x0=[[0.23], [-0.23]], steps=3, dtype="float64", trace=9,
        targets=[0.02, 0.001], outcomes={"scale": 1.0},
    ).table  # fmt: skip
    assert table["f_evals"].tolist() == [7, 5]
    assert (table["g_evals"] == 0).all() and (table["hvp_evals"] == 0).all()
    np.testing.assert_allclose(table["end_0"], [0.03, -0.03])
    # 0.13^2 = 0.0169 and 0.03^2 = 0.0009, after one step and two.
    assert [list(row) for row in table["hits"]] == [[1, 2], [1, 2]]
    assert [list(row) for row in table["hits_f_evals"]] == [[3, 5], [2, 3]]
    assert [row[-1] for row in table["trace_f_evals"]] == [7, 5]


def test_trial_and_error_takes_the_coordinates_in_turn() -> None:
    # 1/2 (x^2 + 10 y^2): x goes up (1 value), y up and down (2), twice; then both stay (2 each): 1 + 3 + 3 + 4.
    options = {"x0": [[-0.23, 0.23]], "steps": 3, "dtype": "float64"}
    row = gd.sweep("quadratic", "trial_and_error", increment=0.1, **options).table.iloc[0]
    assert row["f_evals"] == 11
    np.testing.assert_allclose([row["end_0"], row["end_1"]], [-0.03, 0.03])


def test_an_optimizer_of_ones_own() -> None:
    def step(oracle: Oracle, x: Any, state: Any, h: Any, k: Any) -> Step:
        value, gradient = oracle.value_and_grad(x)
        return Step(x - h.learning_rate * gradient, state + 1, value, gradient, Cost(f=2, g=1))

    own = Optimizer(
        "shared", lambda oracle, x, h: jnp.zeros((), x.dtype), step,
        {"learning_rate": Hyperparameter(0.1, "here"), "share": Hyperparameter(0.5, "here")},
        judge=lambda x, state, h: x * h.share,
    )  # fmt: skip
    row = gd.sweep("parabola", own, x0=[2.0], steps=7, dtype="float64", share=0.25).table.iloc[0]
    assert (row["f_evals"], row["g_evals"]) == (14, 7)
    # x_k = 2 0.8^k, judged at a quarter of it.
    assert row["f_start"] == pytest.approx(0.25)
    assert row["f_final"] == pytest.approx((0.5 * 0.8**7) ** 2, rel=1e-12)
    assert row["distance"] == pytest.approx(0.5 * 0.8**7, rel=1e-12)
    assert row["grad_norm_final"] == pytest.approx(0.8**7, rel=1e-12)


def test_an_unknown_hyperparameter_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(SuiteError, match="learning_rate"):
        gd.sweep("parabola", "gd", learning_rat=0.1)


@pytest.mark.slow
def test_adam_cannot_move_faster_than_its_bound() -> None:
    # 7.27 rates a step at the defaults, whatever the size of the gradients.
    options = {"x0": [[3.0]], "steps": 150, "dtype": "float64", "paths": 9}
    table = gd.sweep(lambda x: jnp.cosh(3 * x[0]), "adam", learning_rate=[1e-3, 1e-2], **options).table
    for rate, path in zip(table["learning_rate"], table["path"], strict=True):
        assert np.abs(path[-1] - 3.0) <= 7.2701 * rate * 150
        assert path[-1] < 3.0


def test_names_resolve_to_the_objects_of_the_catalogue() -> None:
    assert {name: resolve_optimizer(name) for name in CATALOGUE} == dict(CATALOGUE)
