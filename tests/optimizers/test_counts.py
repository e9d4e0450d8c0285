"""What a step says it costs, against counters in the oracle that are hit when a call is executed.

Every method is run step by step, compiled, on an oracle whose functions call back: loops, branches and searches count
what they really asked. A value that is differentiated is one joint evaluation, g; residuals and their Jacobian of n
columns are n g; a gradient that is differentiated is one product with the Hessian.
"""

from __future__ import annotations

import collections
import functools
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdbench as gd
from gdbench.catalogue import gather
from gdbench.contracts import EVALUATIONS, Cost, Hyperparameter, Optimizer, Oracle, Problem, Step
from gdbench.kernels import host
from gdbench.kernels.compiler import jit
from gdbench.optimizers.rules import static_values

CATALOGUE = gather("gdbench.optimizers", Optimizer)
JAX_METHODS = sorted(name for name, rule in CATALOGUE.items() if rule.host is None)
CORE = {"gd", "adam", "trial_and_error", "optax/sgd"}
STEPS = 25
START = (-1.2, 1.0)


class Calls:
    """How often the functions of an oracle were executed; under ``vmap`` once for every point."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.hits = problem, collections.Counter()
        self.fresh: set[bytes] = set()
        self.columns: list[bytes] = []

    def mark(self, what: str, *args: Any) -> None:
        """Count an execution; the arguments say for how many points."""
        jax.debug.callback(lambda *_: self.hits.update([what]), *args)

    def _residuals(self, x: Any) -> None:
        """Count residuals, and remember where they were asked for."""
        self.hits["residuals"] += 1
        self.fresh.add(np.asarray(x).tobytes())

    def _column(self, x: Any, along: Any) -> None:
        """Remember a column of the Jacobian at x; its product with any other vector is none."""
        if np.count_nonzero(along) == 1 and np.sum(along) == 1:
            self.columns.append(np.asarray(x).tobytes())

    def counts(self) -> tuple[int, int, int]:
        """Evaluations so far as the contract counts them; called after every step."""
        jax.effects_barrier()
        # A Jacobian of a point of an earlier step is known: a solver that keeps it as a function makes it again.
        self.hits["column"] += sum(x in self.fresh for x in self.columns)
        self.fresh, self.columns = set(), []
        n, dim = self.hits, self.problem.dim
        jacobians, rest = divmod(n["column"], dim)
        assert rest == 0
        # What was differentiated is no value alone; a gradient on the way to a product with the Hessian comes with it.
        f = n["forward"] - n["backward"] + n["residuals"] - jacobians
        return f, n["backward"] + n["gradient"] - n["gradient's slope"] + n["column"], n["hvp"] + n["gradient's slope"]

    def oracle(self, k: Any) -> Oracle:
        """What step k may ask."""
        problem, data = self.problem, self.problem.data
        parameters = dict(problem.parameters)

        def plain(x: Any) -> Any:
            return jnp.asarray(problem.objective(x, data, parameters), x.dtype)

        def residuals_of(x: Any) -> Any:
            return problem.residuals(x, data, parameters) if problem.residuals else None

        @jax.custom_jvp
        def gradient(x: Any) -> Any:
            return jax.grad(plain)(x)

        @gradient.defjvp
        def _(at: Any, along: Any) -> Any:
            self.mark("gradient's slope", *at, *along)
            return jax.jvp(jax.grad(plain), at, along)

        @jax.custom_vjp
        def value(x: Any) -> Any:
            self.mark("forward", x)
            return plain(x)

        def forward(x: Any) -> Any:
            self.mark("forward", x)
            return plain(x), (x, gradient(x))

        def backward(kept: Any, slope: Any) -> Any:
            self.mark("backward", kept[0])
            return (slope * kept[1],)

        value.defvjp(forward, backward)

        def value_and_grad(x: Any) -> Any:
            self.mark("gradient", x)
            return plain(x), gradient(x)

        def hvp(x: Any, v: Any) -> Any:
            self.mark("hvp", x, v)
            return jax.jvp(jax.grad(plain), (x,), (v,))[1]

        @jax.custom_jvp
        def residuals(x: Any) -> Any:
            jax.debug.callback(self._residuals, x)
            return residuals_of(x)

        @residuals.defjvp
        def _(at: Any, along: Any) -> Any:
            jax.debug.callback(self._residuals, *at)
            jax.debug.callback(self._column, *at, *along)
            return jax.jvp(residuals_of, at, along)

        def key() -> Any:
            return jax.random.fold_in(jax.random.key(0), k)

        return Oracle(
            value, value_and_grad, lambda x: x, lambda x: x, False, hvp, residuals if problem.residuals else None,
            jnp.asarray(problem.minimum or 0.0), problem.quadratic, key, STEPS,
        )  # fmt: skip


class Walked:
    """A method walked step by step from one start.

    Attributes:
        said: cumulative cost as told, before every step and at the end, [STEPS + 1, 3].
        executed: the same as counted.
        path: the points to be judged, [STEPS + 1, dim].
    """

    def __init__(
        self, rule: Optimizer, problem: Problem, start: Any, given: dict[str, Any], steps: int = STEPS
    ) -> None:
        calls, static = Calls(problem), static_values(rule, given)
        values = {n: spec.default for n, spec in rule.hyperparameters.items()} | given
        h = {n: np.float64(v) for n, v in values.items() if n not in static}
        with jax.enable_x64(True):
            whole = functools.partial(self._namespace, static)
            x = jnp.asarray(start, jnp.float64)
            judged = rule.judge or (lambda x, state, h: x)
            state = jit(lambda x, h: rule.init(calls.oracle(jnp.int32(STEPS)), x, whole(h)))(x, h)

            def one(x: Any, state: Any, h: Any, k: Any) -> Any:
                step = rule.step(calls.oracle(k), x, state, whole(h), k)
                return step.x, step.state, jnp.stack([jnp.asarray(n, jnp.int32) for n in step.cost])

            step = jit(one)
            said, executed, path = (
                [np.array(rule.init_cost)],
                [calls.counts()],
                [np.asarray(judged(x, state, whole(h)))],
            )
            for k in range(steps):
                x, state, cost = step(x, state, h, jnp.int32(k))
                said.append(said[-1] + np.asarray(cost))
                executed.append(calls.counts())
                path.append(np.asarray(judged(x, state, whole(h))))
        self.said, self.executed, self.path = np.array(said), np.array(executed), np.array(path)

    @staticmethod
    def _namespace(static: dict[str, Any], h: dict[str, Any]) -> SimpleNamespace:
        return SimpleNamespace(**static, **h)


SMALL = {"optax/backtracking_linesearch": 0.01, "optax/contrib/schedule_free_sgd": 1e-3}
"""Learning rates where the default leaves the numbers, and no target is hit."""


def rate_of(rule: Optimizer) -> dict[str, Any]:
    """A value for a learning rate that has no default, or one too large."""
    spec = rule.hyperparameters.get("learning_rate")
    wanted = rule.name in SMALL or (spec is not None and spec.default is None)
    return {"learning_rate": SMALL.get(rule.name, 1e-3)} if wanted else {}


ARRIVED = 1e-24
"""A value of Rosenbrock's function that rounding of x alone makes in float64."""


def falls(path: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Targets that a path hits at known steps, from the first to the last step at which its best value fell."""
    with jax.enable_x64(True):
        best = np.minimum.accumulate([float(gd.problem("rosenbrock")(jnp.asarray(x))) for x in path])
    # Not to be mistaken by rounding, which differs between one step alone and a compiled sweep; once a method has
    # arrived, nothing else is left.
    steps = 1 + np.flatnonzero((best[1:] < best[:-1] * (1 - 1e-6)) & (best[:-1] > ARRIVED))
    steps = np.unique(steps[np.linspace(0, len(steps) - 1, 5).astype(int)])
    return (best[steps] + best[steps - 1]) / 2, steps.tolist()


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in CORE else pytest.mark.slow) for n in JAX_METHODS])
def test_what_is_said_is_what_was_executed(name: str) -> None:
    """After every step, and in a sweep's columns when a target is hit."""
    rule = CATALOGUE[name]
    walked = Walked(rule, gd.problem("rosenbrock"), START, rate_of(rule))
    targets, steps = falls(walked.path)
    row = gd.sweep(
        "rosenbrock", name, x0=list(START), steps=STEPS, dtype="float64", targets=targets, outcomes={"scale": 1.0},
        **rate_of(rule),
    ).table.iloc[0]  # fmt: skip
    if rule.random:  # the sweep draws other numbers, and so hits elsewhere; the same is asked at every step
        steps = [k for k in row["hits"] if k > 0]
    assert [k for k in row["hits"] if k > 0] == steps != []
    by_hit = np.stack([row[f"hits_{name}"][row["hits"] > 0] for name in EVALUATIONS], 1)
    np.testing.assert_array_equal(by_hit, walked.executed[steps])
    np.testing.assert_array_equal(walked.said[1:], walked.executed[1:])
    # What init asks may be told with the first step, where it depends on the problem whether it asks.
    assert (walked.said[0] <= walked.executed[0]).all()
    assert walked.said[-1].sum() >= STEPS and len(np.unique(walked.path, axis=0)) > 2


# The counters themselves


def _rule(step: Any) -> Optimizer:
    return Optimizer("own", lambda oracle, x, h: (), step, {"learning_rate": Hyperparameter(0.1, "here")})


def count(ask: Any) -> list[int]:
    """What three steps execute that ask so."""
    walked = Walked(_rule(lambda oracle, x, s, h, k: Step(ask(oracle, x), s)), gd.problem("rosenbrock"), START, {}, 3)
    return (walked.executed[-1] // 3).tolist()


LOOP = jax.lax.while_loop
ASKS = {
    "nothing": (lambda o, x: x * 1.0, [0, 0, 0]),
    "a value": (lambda o, x: x * o.value(x), [1, 0, 0]),
    "values of many points": (lambda o, x: x * jax.vmap(o.value)(x + jnp.eye(5, 2)).sum(), [5, 0, 0]),
    "a value and gradient": (lambda o, x: o.value_and_grad(x)[1], [0, 1, 0]),
    "a value differentiated": (lambda o, x: jax.grad(o.value)(x), [0, 1, 0]),
    "a gradient by linearizing": (
        lambda o, x: jax.linear_transpose(jax.linearize(o.value, x)[1], x)(1.0)[0],
        [0, 1, 0],
    ),
    "a linearization not transposed": (lambda o, x: x * jax.linearize(o.value, x)[0], [1, 0, 0]),
    "a product": (lambda o, x: o.hvp(x, x), [0, 0, 1]),
    "a Hessian": (lambda o, x: jax.vmap(lambda v: o.hvp(x, v))(jnp.eye(2))[0], [0, 0, 2]),
    "a product of one's own": (lambda o, x: jax.jvp(jax.grad(o.value), (x,), (x,))[1], [0, 0, 1]),
    "residuals": (lambda o, x: x * o.residuals(x).sum(), [1, 0, 0]),
    "a Jacobian": (lambda o, x: jax.jacfwd(o.residuals)(x).sum(0), [0, 2, 0]),
    "a loop": (
        lambda o, x: LOOP(lambda c: c[1] < 4, lambda c: (o.value_and_grad(c[0])[1], c[1] + 1), (x, 0))[0],
        [0, 4, 0],
    ),
    "the branch that is taken": (lambda o, x: jax.lax.cond(x[0] == x[0], lambda: x, lambda: o.hvp(x, x)), [0, 0, 0]),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", ASKS)
def test_the_counters_count_what_runs(what: str) -> None:
    ask, wanted = ASKS[what]
    # Points that move out of the numbers are no matter here, but every step asks as often.
    assert count(ask) == wanted


@pytest.mark.slow
def test_a_wrong_cost_is_found() -> None:
    def step(oracle: Oracle, x: Any, state: Any, h: Any, k: Any) -> Step:
        return Step(x - h.learning_rate * oracle.value_and_grad(x)[1], state, cost=Cost(g=2))

    walked = Walked(_rule(step), gd.problem("rosenbrock"), START, {"learning_rate": 1e-3}, 3)
    assert walked.executed[-1].tolist() == [0, 3, 0] and walked.said[-1].tolist() == [0, 6, 0]


# Columns of a sweep


TABLES: dict[str, dict[str, Any]] = {
    "gd": {"learning_rate": 0.15}, "trial_and_error": {"increment": 0.1}, "optax/lbfgs": {}, "steepest_descent": {},
}  # fmt: skip
TARGETS = (0.5, 0.1, 0.02)
TOLERANCE = 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_the_columns_of_a_sweep_are_what_was_executed(name: str) -> None:
    rule, problem, starts = CATALOGUE[name], gd.problem("quadratic"), [[-1.2, 1.1], [2.0, -0.3]]
    table = gd.sweep(
        problem, rule, x0=starts, steps=STEPS, dtype="float64", targets=TARGETS, trace=10_000, **TABLES[name],
        outcomes={"scale": 10.0, "tolerance": TOLERANCE},
    ).table  # fmt: skip
    columns = list(EVALUATIONS)
    for start, (_, row) in zip(starts, table.iterrows(), strict=True):
        walked = Walked(rule, problem, start, TABLES[name])
        np.testing.assert_array_equal(row[columns].astype(int), walked.executed[-1])
        with jax.enable_x64(True):
            gaps = np.array([float(problem(jnp.asarray(x))) for x in walked.path])
        hits = [int(np.argmax(gaps <= 10 * t)) if (gaps <= 10 * t).any() else -1 for t in TARGETS]
        assert list(row["hits"]) == hits and max(hits) > 0
        settled = int(np.flatnonzero(gaps > TOLERANCE)[-1]) + 1
        assert row["settle_step"] == settled <= STEPS
        for i, column in enumerate(columns):
            assert row[f"settle_{column}"] == walked.executed[settled][i]
            if row.get(f"trace_{column}") is not None:  # only what differs from step to step is counted as it goes
                np.testing.assert_array_equal(row[f"trace_{column}"][1:], walked.executed[1:, i])


# Methods on the host


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(CATALOGUE) - set(JAX_METHODS)))
def test_a_method_on_the_host_counts_every_call(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of the jitted problem, whatever they are counted as: values, gradients or products with the Hessian."""
    asked = 0
    at_visit: list[int] = []

    def counting(descent: Any) -> dict[str, Any]:
        points = {"values": lambda x: len(x), "hessian": lambda x: len(x)}

        def wrapped(kind: str, function: Any) -> Any:
            def call(x: Any, *more: Any) -> Any:
                nonlocal asked
                asked += points.get(kind, lambda x: 1)(x)
                return function(x, *more)

            return call

        return {kind: wrapped(kind, function) for kind, function in original(descent).items()}

    def visit(oracle: Any, x: Any) -> None:
        at_visit.append(asked)
        whole_visit(oracle, x)

    original, whole_visit = host.host_functions, host.HostOracle.visit
    monkeypatch.setattr(host, "host_functions", counting)
    monkeypatch.setattr(host.HostOracle, "visit", visit)
    row = gd.sweep(
        "rosenbrock", name, x0=list(START), steps=STEPS, dtype="float64", trace=10_000, targets=[4.0, 0.5, 0.05, 1e-6],
        outcomes={"scale": 1.0},
    ).table.iloc[0]  # fmt: skip
    assert row[list(EVALUATIONS)].sum() == asked >= STEPS
    spent = np.array([row[f"trace_{column}"] for column in EVALUATIONS])
    assert (np.diff(spent) >= 0).all() and spent[:, -1].tolist() == row[list(EVALUATIONS)].tolist()
    reached = row["hits"] > 0
    by_hit = np.sum([row[f"hits_{column}"] for column in EVALUATIONS], 0)
    assert reached.any() and (by_hit[~reached] == -3).all()
    assert by_hit[reached].tolist() == [at_visit[step - 1] for step in row["hits"][reached]]
