"""Optimizers from a pair of plain functions: hyperparameters from the signature, cost from the program."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

import gdbench as gd
from gdbench import runner
from gdbench.choices import resolve_optimizer
from gdbench.contracts import Cost, Optimizer, Problem, Step
from gdbench.errors import CellError, GdbenchError, SuiteError
from gdbench.kernels.descent import Descent
from gdbench.kernels.layout import Shape
from gdbench.optimizers.rules import static_values
from gdbench.suite import build_suite

_modules = itertools.count()


def nothing(x: Any) -> tuple[()]:
    return ()


def still(x: Any) -> Any:
    return jnp.zeros_like(x)


def heavy(oracle: Any, x: Any, velocity: Any, learning_rate: Any, momentum: Any = 0.9) -> Any:
    """m ← β m + g;  x ← x − α m

    Source: Polyak (1964).
    """
    _, gradient = oracle.value_and_grad(x)
    velocity = momentum * velocity + gradient
    return x - learning_rate * velocity, velocity


# The signature


def lots(
    oracle: Any, x: Any, state: Any, learning_rate: Any, decay: Any, momentum: Any = 0.9, *, nesterov: Any = False,
    times: Any = 3, norm: Any = "l2", clip: Any = None, k: Any, helper: Any = jnp.sum,
) -> Any:  # fmt: skip
    return x, state


def test_hyperparameters_are_those_of_the_signature() -> None:
    found = gd.optimizer(nothing, lots, "many").hyperparameters
    assert list(found) == ["learning_rate", "decay", "momentum", "nesterov", "times", "norm", "clip"]
    assert [n for n, spec in found.items() if spec.static] == ["nesterov", "times", "norm"]
    assert [n for n, spec in found.items() if spec.optional] == ["clip"]
    assert {n: spec.default for n, spec in found.items()} == {
        "learning_rate": None, "decay": None, "momentum": 0.9, "nesterov": False, "times": 3, "norm": "l2",
        "clip": None,
    }  # fmt: skip
    assert all(spec.origin for spec in found.values())


def test_defaults_may_be_given() -> None:
    rule = gd.optimizer(nothing, lots, "many", learning_rate=1, momentum=0.5, times=4)
    assert {n: rule.hyperparameters[n].default for n in ("learning_rate", "momentum", "times")} == {
        "learning_rate": 1.0, "momentum": 0.5, "times": 4,
    }  # fmt: skip
    assert rule.hyperparameters["times"].static and not rule.hyperparameters["momentum"].static


def test_the_facts_are_those_of_the_step() -> None:
    rule = gd.optimizer(still, heavy)
    assert (rule.name, rule.formula, rule.source) == ("heavy", "m ← β m + g; x ← x − α m", "Polyak (1964).")
    assert gd.optimizer(still, heavy, "mine").name == "mine"
    assert not gd.optimizer(still, heavy, uses_gradient=False).uses_gradient


@pytest.mark.parametrize(
    "make, told",
    [
        (lambda: gd.optimizer(nothing, lambda x, state: x, "mine"), r"mine must be step\(oracle, x, state, learn.*got"),
        (lambda: gd.optimizer(lambda: (), heavy), r"heavy must be init\(x\), got"),
        (lambda: gd.optimizer(still, heavy, momentun=0.5), "heavy has no hyperparameter 'momentun': did you mean 'mom"),
        (lambda: gd.optimizer(nothing, lots, times=0.5), "lots: the default of 'times' must be one int, got 0.5"),
        (lambda: gd.optimizer(nothing, lots, momentum=True), "the default of 'momentum' must be one number, got T"),
        (lambda: gd.sweep("parabola", (still, heavy, heavy)), "an optimizer is a name, an Optimizer, a pair"),
    ],
)  # fmt: skip
def test_what_is_no_pair_is_refused(make: Any, told: str) -> None:
    with pytest.raises(SuiteError, match=told) as caught:
        make()
    assert "\n" not in str(caught.value)


# What a step costs


def sphere(dim: int = 3) -> Problem:
    residuals = lambda x, data, parameters: jnp.concatenate([x, x])  # noqa: E731
    return Problem("sphere", lambda x, d, p: 2 * jnp.sum(x**2), dim, start=np.ones(dim), residuals=residuals)


def cost_of(step: Any, init: Any = nothing) -> Any:
    rule = gd.optimizer(init, step, "mine")
    static = static_values(rule, {})
    return Descent(sphere(), rule, static, Shape(10)).step_cost


def gradient(oracle: Any, x: Any) -> Any:
    return oracle.value_and_grad(x)[1]


def _checkpointed(oracle: Any, x: Any, state: Any) -> Any:
    return jax.checkpoint(lambda x: x - gradient(oracle, x))(x), state


def _branches(first: Any, second: Any) -> Any:
    def step(oracle: Any, x: Any, state: Any) -> Any:
        return lax.cond(x[0] > 0, lambda x: first(oracle, x), lambda x: second(oracle, x), x), state

    return step


def _scanned(inner: int, outer: int = 1) -> Any:
    def step(oracle: Any, x: Any, state: Any) -> Any:
        def one(x: Any, _: Any) -> Any:
            return lax.fori_loop(0, inner, lambda i, x: x - gradient(oracle, x), x), oracle.value(x)

        return lax.scan(one, x, None, length=outer)[0], state

    return step


STEPS = {
    "nothing": (lambda o, x, s: (x, s), Cost()),
    "a value": (lambda o, x, s: (x * o.value(x), s), Cost(f=1)),
    "a gradient": (lambda o, x, s: (x - gradient(o, x), s), Cost(g=1)),
    "two gradients": (lambda o, x, s: (x - gradient(o, x - gradient(o, x)), s), Cost(g=2)),
    "a product": (lambda o, x, s: (x - o.hvp(x, x), s), Cost(h=1)),
    "all of them": (lambda o, x, s: (o.value(x) * o.hvp(x, gradient(o, x)), s), Cost(1, 1, 1)),
    "what is thrown away": (lambda o, x, s: (o.value(x), (x, s))[1], Cost(f=1)),
    "a gradient of one's own": (lambda o, x, s: (x - jax.grad(o.value)(x), s), Cost(g=1)),
    "value and gradient of one's own": (lambda o, x, s: (x - jax.value_and_grad(o.value)(x)[1], s), Cost(g=1)),
    "a slope": (lambda o, x, s: (x * jax.jvp(o.value, (x,), (x,))[1], s), Cost(g=1)),
    "a Hessian": (lambda o, x, s: (jax.hessian(o.value)(x) @ x, s), Cost(g=1, h=3)),
    "a Hessian from the gradient": (lambda o, x, s: (jax.jacfwd(lambda x: gradient(o, x))(x) @ x, s), Cost(g=1, h=3)),
    "a Hessian by products": (lambda o, x, s: (jax.vmap(lambda v: o.hvp(x, v))(jnp.eye(3)) @ x, s), Cost(h=3)),
    "many points": (lambda o, x, s: (x + jnp.min(jax.vmap(o.value)(x + jnp.eye(5, 3))), s), Cost(f=5)),
    "a jitted part": (lambda o, x, s: (jax.jit(lambda x: x - gradient(o, x))(x), s), Cost(g=1)),
    "a checkpoint": (_checkpointed, Cost(g=1)),
    "a loop of known length": (_scanned(4), Cost(f=1, g=4)),
    "a loop in a loop": (_scanned(2, 3), Cost(f=3, g=6)),
    "branches that cost the same": (_branches(gradient, lambda o, x: -gradient(o, x)), Cost(g=1)),
    "a loop that asks nothing": (
        lambda o, x, s: (lax.while_loop(lambda x: x[0] > 1, lambda x: x / 2, gradient(o, x)), s),
        Cost(g=1),
    ),
    "residuals": (lambda o, x, s: (x * jnp.sum(o.residuals(x)), s), Cost(f=1)),
    "a Jacobian forward": (lambda o, x, s: (jax.jacfwd(o.residuals)(x).sum(0), s), Cost(g=3)),
    "a Jacobian backward": (lambda o, x, s: (jax.jacrev(o.residuals)(x).sum(0), s), Cost(g=3)),
}


@pytest.mark.parametrize("what", STEPS)
def test_the_cost_is_that_of_the_program(what: str) -> None:
    step, cost = STEPS[what]
    found = cost_of(step)
    assert found == cost and all(type(n) is int for n in found)


def test_a_cost_that_is_said_is_taken_and_one_that_is_not_is_counted() -> None:
    assert cost_of(lambda o, x, s: Step(x - gradient(o, x), s, cost=Cost(f=7))) == Cost(f=7)
    twice = lambda o, x, s: Step(x - gradient(o, gradient(o, x)), s)  # noqa: E731
    assert cost_of(twice) == Cost(g=2)
    counted = cost_of(lambda o, x, s: Step(x, s, cost=Cost(f=jnp.where(x[0] > 0, 1, 2))))
    assert not isinstance(counted.f, int)


@pytest.mark.parametrize(
    "step",
    [
        lambda o, x, s: (lax.while_loop(lambda x: o.value(x) > 1, lambda x: x / 2, x), s),
        lambda o, x, s: (lax.while_loop(lambda x: x[0] > 1, lambda x: x - gradient(o, x), x), s),
        _branches(gradient, lambda o, x: x),
        _branches(gradient, lambda o, x: x * o.value(x)),
    ],
)
def test_a_cost_that_depends_on_values_must_be_said(step: Any) -> None:
    with pytest.raises(SuiteError, match=r"^mine: how often .* \(it asks inside a .*say what it costs: return Step\("):
        cost_of(step)


# What a step returns


@pytest.mark.parametrize(
    "step, told",
    [
        (lambda o, x, s: x, r"step must return \(x, state\) or a Step, it returns one array"),
        (lambda o, x, s: (x, s, x), r"step must return \(x, state\) or a Step, it returns 3 things"),
        (lambda o, x, s: (x[:1], s), r"step must return x of shape \(3,\), it returns \(1,\)"),
        (lambda o, x, s: (x > 0, s), "step must return x of type float32, it returns bool"),
        (lambda o, x, s: (x, (s, s)), r"a state of the form it was given, float32\[3\], it returns"),
        (lambda o, x, s: (x, s[:2]), r"given, float32\[3\], it returns float32\[2\]"),
        (lambda o, x, s: (x, s > 0), r"given, float32\[3\], it returns bool\[3\]"),
        (lambda o, x, s: Step(x.sum(), s, cost=Cost(g=1)), r"x of shape \(3,\), it returns \(\)"),
    ],
)
def test_another_form_is_refused_in_one_line(step: Any, told: str) -> None:
    with pytest.raises(SuiteError, match=told) as caught:
        cost_of(step, still)
    assert str(caught.value).startswith("mine: ") and "\n" not in str(caught.value)


def test_a_state_that_is_no_array_is_refused() -> None:
    with pytest.raises(SuiteError, match="^mine: init must return arrays, got a str in the state"):
        cost_of(lambda o, x, s: (x, s), lambda x: "state")


def test_a_sweep_says_which_optimizer_it_was() -> None:
    with pytest.raises(CellError, match=r"parabola / wrong: wrong: step must return \(x, state\)"):
        gd.sweep("parabola", gd.optimizer(nothing, lambda o, x, s: x, "wrong"), steps=3)


# It runs


@pytest.mark.slow
def test_a_pair_is_the_rule_of_the_catalogue() -> None:
    options = {"learning_rate": [0.01, 0.1], "momentum": [0.5, 0.9], "steps": 60, "dtype": "float64"}
    ours, theirs = (gd.sweep("quadratic", rule, **options).table for rule in ((still, heavy), "momentum"))
    np.testing.assert_allclose(ours["f_final"], theirs["f_final"], rtol=1e-12)
    assert (ours["outcome"] == theirs["outcome"]).all()
    assert (ours["g_evals"] == 60).all() and (ours["f_evals"] == 0).all()


@pytest.mark.slow
def test_states_of_plain_numbers_the_step_and_its_number() -> None:
    def init(x: Any, width: Any = 2.0) -> Any:
        return {"count": 0, "sum": 0.0, "flag": True, "width": width}

    def step(oracle: Any, x: Any, state: Any, learning_rate: Any = 0.1, *, twice: Any = True, k: Any) -> Any:
        here = oracle.value(x)
        for _ in range(2 if twice else 1):
            x = x - learning_rate * gradient(oracle, x)
        after = {**state, "count": state["count"] + 1, "sum": state["sum"] + here.astype(jnp.float32)}
        # Stays where it is from step 5 on; the state counts along.
        return jnp.where((k < 5) & (state["count"] < state["width"] * 10), x, state["sum"] * 0 + x * 0 + 1), after

    rule = gd.optimizer(init, step, "numbers")
    row = gd.sweep("parabola", rule, x0=[2.0], steps=9, dtype="float64").table.iloc[0]
    assert (row["f_evals"], row["g_evals"], row["f_final"]) == (9, 18, 1)
    row = gd.sweep("parabola", rule, x0=[2.0], steps=4, twice=False, width=4.0, dtype="float64").table.iloc[0]
    assert row["f_final"] == pytest.approx((2 * 0.8**4) ** 2, rel=1e-12) and row["g_evals"] == 4


MINE = """
import jax.numpy as jnp
import optax
from gdbench.contracts import Cost, Hyperparameter, Optimizer, Step

def init(x):
    return jnp.zeros_like(x)

def step(oracle, x, velocity, learning_rate, momentum=0.9):
    velocity = momentum * velocity + oracle.value_and_grad(x)[1]
    return x - learning_rate * velocity, velocity

def loose(oracle, x, velocity, learning_rate):
    return x

pair = (init, step)
broken = (init, loose)
finished = optax.sgd(0.1)
whole = Optimizer(
    "whole", lambda oracle, x, h: (),
    lambda oracle, x, state, h, k: Step(x - h.learning_rate * oracle.value_and_grad(x)[1], state),
    {"learning_rate": Hyperparameter(None, "none: a rate must be given")},
)
"""


@pytest.fixture
def mine(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of a user's own beside the suite."""
    name = f"own_rules_{next(_modules)}"
    (tmp_path / f"{name}.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    sys.modules.pop(name, None)


def test_names_of_a_users_code(mine: str) -> None:
    assert resolve_optimizer(f"{mine}:pair").name == "pair"
    assert resolve_optimizer(f"{mine}:whole").name == "whole"
    assert resolve_optimizer(f"{mine}:finished").name == "finished"
    with pytest.raises(GdbenchError, match="--allow-code"):
        resolve_optimizer(f"{mine}:pair", allow_code=False)
    with pytest.raises(GdbenchError, match="did you mean 'pair'"):
        resolve_optimizer(f"{mine}:pairs")


@pytest.mark.slow
def test_a_users_code_in_a_suite(mine: str) -> None:
    table = {
        "suite": {"name": "mine"},
        "experiment": [
            {
                "problems": ["parabola"], "steps": 100, "learning_rate": [0.1],
                "optimizers": [{"name": f"{mine}:pair", "momentum": [0.0, 0.5]}, f"{mine}:broken", "gd"],
            }
        ],
    }  # fmt: skip
    suite = build_suite(table, allow_code=True, add=[f"{mine}:whole", f"{mine}:finished"])
    assert [c.label for c in suite.trials[0].optimizers] == ["pair", "broken", "gd", "whole", "finished"]
    results = runner.run_suite(suite, runner.Options())
    assert [failure["error"] for failure in results.failures] == [
        "broken: step must return (x, state) or a Step, it returns one array or something else"
    ]
    table = results.table()
    assert (table["outcome"] == "converged").all() and len(table) == 5
    ends = table.set_index(table["optimizer"].astype(str))["f_final"]
    assert ends["gd"] == ends["whole"] == ends["finished"] == ends["pair"].iloc[0] != ends["pair"].iloc[1]
    # The same suite with another text in the user's file is another run.
    assert len({cell["key"] for cell in results.cells}) == 5


def test_an_optimizer_is_left_as_it_is() -> None:
    rule = gd.optimizer(still, heavy)
    assert resolve_optimizer(rule) is rule and isinstance(rule, Optimizer)
    # A GradientTransformation is a pair too, of another kind.
    assert resolve_optimizer(optax.sgd(0.1)).name == "transformation"
