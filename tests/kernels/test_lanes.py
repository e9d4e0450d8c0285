"""The engine ``lanes`` against ``vmap``: one step of everything that it takes, whole descents of a few."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax import lax
from jax.extend.core import jaxpr_as_fun

import gdbench as gd
from gdbench.catalogue import gather
from gdbench.contracts import Optimizer, ProblemFamily
from gdbench.errors import CellError, SuiteError
from gdbench.kernels import elements, execute, together
from gdbench.kernels.descent import Descent, numerics
from gdbench.plan import plain_descent

OPTIMIZERS = sorted(gather("gdbench.optimizers", Optimizer))
PROBLEMS = sorted(gather("gdbench.problems", ProblemFamily))
CORE = {"gd", "adam", "optax/adamw", "rosenbrock", "quadratic", "bbob/f8"}
LANES = 5


def _arguments(descent: Descent, program: Any, varies: list[bool]) -> list[Any]:
    """x from around the start, numbers below one for the state, the problem's own data."""
    rng = np.random.default_rng(0)
    data = iter(jax.tree.leaves(descent.problem.data))
    first_data = len(varies) - 1 - len(jax.tree.leaves(descent.problem.data))
    out = []
    for i, (var, batched) in enumerate(zip(program.jaxpr.invars, varies, strict=True)):
        aval = var.aval
        if first_data <= i < len(varies) - 1:
            out.append(np.asarray(next(data)).astype(aval.dtype))
            continue
        shape = (LANES, *aval.shape) if batched else aval.shape
        values = rng.uniform(0.1, 0.9, shape)
        if i == 0:
            values = np.asarray(descent.problem.start, float).ravel() + 0.1 * values
        out.append(np.asarray(values * 3 if np.issubdtype(aval.dtype, np.integer) else values).astype(aval.dtype))
    return out


ROUGH = {"bbob/f16": 0.5}
"""Tolerance where float32 does not resolve the function: the last cosine of f16 turns 3^11 times as fast as x."""


def _agree(problem: str, optimizer: str) -> None:
    descent = plain_descent(problem, optimizer)
    if descent.facts.refusal is not None:
        pytest.skip(f"runs by scan: {descent.facts.refusal}")
    program, varies = descent.step_program()
    arguments = _arguments(descent, program, varies)
    outs = [v.aval for v in program.jaxpr.outvars]

    def by_elements(*values: Any) -> list[Any]:
        given = [elements.split_lanes(jnp.asarray(v), b) for v, b in zip(values, varies, strict=True)]
        consts = [elements.elements(np.asarray(c)) for c in program.consts]
        results = elements.evaluate(program.jaxpr, consts, given)
        return [elements.join_lanes(r, LANES, a.dtype, True) for r, a in zip(results, outs, strict=True)]

    with numerics(np.float32):
        axes = [0 if b else None for b in varies]
        plain = jax.vmap(jaxpr_as_fun(program), in_axes=axes, out_axes=0)
        ours, plain = jax.jit(lambda *given: (by_elements(*given), plain(*given)))(*arguments)
    for one, other in zip(ours, plain, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        scale = np.abs(other[np.isfinite(other)]).max(initial=0.0)
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=ROUGH.get(problem, 2e-5) * scale)
    _steps_together(program, varies, arguments, run={problem, optimizer} <= CORE)


def _steps_together(program: Any, varies: list[bool], arguments: list[Any], run: bool) -> None:
    """Three steps in one loop are written out for everything; and where they are run, they are three steps."""
    n = next(i for i, v in enumerate(program.jaxpr.invars) if v.aval.dtype == np.int32 and not varies[i])
    state, axes = list(range(n)), [0 if b else None for b in varies]

    def steps(take: Any, *values: Any) -> Any:
        def body(carried: Any) -> Any:
            return jaxpr_as_fun(program)(*carried, *values[n:])[: len(state)]

        return take(body, list(values[:n]), 3)

    def one_by_one(body: Any, carried: Any, length: int) -> Any:
        for _ in range(length):
            carried = body(carried)
        return carried

    def block(take: Any) -> Any:
        return jax.vmap(lambda *values: steps(take, *values), in_axes=axes, out_axes=0)

    with numerics(np.float32):
        jax.make_jaxpr(block(together.walk))(*arguments)
        if run:
            ours, plain = (jax.jit(block(take))(*arguments) for take in (together.walk, one_by_one))
            for one, other in zip(ours, plain, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in CORE else pytest.mark.slow) for n in OPTIMIZERS])
def test_a_step_of_every_optimizer(name: str) -> None:
    _agree("rosenbrock", name)


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in CORE else pytest.mark.slow) for n in PROBLEMS])
def test_a_step_on_every_problem(name: str) -> None:
    _agree(name, "gd")


ASKS = {
    "slices and joins": lambda x: jnp.concatenate([x[::-1], x[1:], jnp.pad(x, (1, 2), constant_values=3.0)]),
    "a pad of nothing and one that takes away": lambda x: jnp.stack(
        [lax.pad(x[0], jnp.float32(0), []), lax.pad(x, jnp.float32(2), [(-1, 1, 0)])[2]]
    ),
    "rows apart and together": lambda x: jnp.stack([*jnp.unstack(x), *jnp.unstack(jnp.outer(x, x), axis=1)[1]]),
    "a gather in place": lambda x: x[np.array([[2, 0], [1, 1]])],
    "products": lambda x: jnp.einsum("ij,j->i", jnp.outer(x, x) + np.eye(3, dtype=np.float32), x),
    "batched products": lambda x: jnp.einsum("bij,bj->bi", jnp.stack([jnp.outer(x, x)] * 2), jnp.stack([x, 2 * x])),
    "sums and products along axes": lambda x: jnp.stack([jnp.outer(x, x).sum(0), jnp.outer(x, x).prod(1)]),
    "cumulated": lambda x: jnp.stack([jnp.cumsum(x), jnp.cumsum(x[::-1]), jnp.cumprod(x), lax.cummax(x)]),
    "the largest": lambda x: (jnp.argmax(x), jnp.argmin(jnp.outer(x, x), axis=1), x.max()),
    "a norm": lambda x: x / jnp.linalg.norm(x),
    "a branch": lambda x: lax.cond(x[0] > 0, lambda v: v * 2, lambda v: v[::-1], x),
    "three branches": lambda x: lax.switch(jnp.int32(x[0] * 4), [jnp.sin, jnp.cos, lambda v: -v], x),
    "a loop": lambda x: lax.fori_loop(0, 4, lambda i, v: v + x[i % 3] * 0.1, x),
    "a loop with rows": lambda x: lax.scan(lambda c, v: (c + v, c * v), 0.0, x),
    "integers and masks": lambda x: jnp.where((jnp.arange(3) % 2 == 1) & (x > 0), x, -1.0).astype(jnp.int32),
    "a triangle": lambda x: jnp.tril(jnp.outer(x, x)) @ x,
    "a derivative": jax.grad(lambda x: jnp.sum(jnp.tanh(x[1:] - x[:-1] ** 2)) + jnp.prod(x)),
}


@pytest.mark.parametrize("what", ASKS)
def test_a_rule(what: str) -> None:
    x = np.random.default_rng(1).uniform(-1, 1, (LANES, 3)).astype(np.float32)
    closed = jax.make_jaxpr(ASKS[what])(x[0])

    def by_elements(x: Any) -> list[Any]:
        results = elements.evaluate(
            closed.jaxpr, [elements.elements(np.asarray(c)) for c in closed.consts], [elements.split_lanes(x, True)]
        )
        return [
            elements.join_lanes(r, LANES, v.aval.dtype, True)
            for r, v in zip(results, closed.jaxpr.outvars, strict=True)
        ]

    wanted = jax.tree.leaves(jax.vmap(ASKS[what])(x))
    for one, other in zip(jax.jit(by_elements)(x), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "problem", "why"),
    [("newton", "rosenbrock", "lu"), ("gd", "rastrigin", "cos|sin"), ("scipy/bfgs", "rosenbrock", "host")],
)
def test_what_is_not_taken_says_why(optimizer: str, problem: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute.native, "pays", lambda _: False)
    # Slow functions are refused to long descents alone: a short one is compiled in half the time.
    grid: dict[str, Any] = {"learning_rate": 0.1, "steps": 401} if optimizer == "gd" else {"steps": 3}
    with pytest.raises(CellError, match=why):
        gd.sweep(problem, optimizer, engine="lanes", **grid)
    assert gd.sweep(problem, optimizer, **grid).results.cells[0]["engine"] == "scan"
    if optimizer == "gd":
        assert gd.sweep(problem, optimizer, **grid | {"steps": 400}).results.cells[0]["engine"] == "lanes"


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(SuiteError, match="auto, scan, lanes"):
        gd.sweep("rosenbrock", "gd", learning_rate=0.1, engine="warp")


def _both(problem: str, optimizer: str, **options: Any) -> list[pd.DataFrame]:
    found = [gd.sweep(problem, optimizer, engine=engine, **options).table for engine in ("scan", "lanes")]
    return [table.drop(columns="cell") for table in found]


@pytest.mark.slow
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    optimizer=st.sampled_from(["gd", "momentum", "adam", "optax/rmsprop", "rprop"]),
    problem=st.sampled_from(["quadratic", "rosenbrock", "beale", "himmelblau", "saddle"]),
    steps=st.sampled_from([1, 7, 60, 500]),
    record=st.sampled_from(["outcome", "full"]),
    dtype=st.sampled_from(["float32", "float64"]),
    asked=st.sampled_from([{}, {"targets": [1.0, 1e-2], "trace": 6}]),
)
def test_whole_descents_agree(
    optimizer: str, problem: str, steps: int, record: str, dtype: str, asked: dict[str, Any]
) -> None:
    scan, ours = _both(
        problem, optimizer, learning_rate=gd.log_axis(1e-3, 1.0, 9), starts=gd.starts("sobol", 8), steps=steps,
        record=record, dtype=dtype, **asked,
    )  # fmt: skip
    # Rounding decides on which side of a boundary of chaos a descent falls.
    same = (scan["outcome"] == ours["outcome"]).mean()
    assert same >= 0.95
    calm = (scan["outcome"] == ours["outcome"]) & (scan["outcome"] == "converged")
    assert (scan["steps"] == ours["steps"])[calm].all()
    close = np.isclose(scan["settle_step"][calm].astype(float), ours["settle_step"][calm].astype(float), rtol=0.05)
    assert close.mean() >= 0.95 if calm.any() else True


@pytest.mark.slow
def test_a_descent_depends_on_neither_place_nor_neighbours() -> None:
    options: dict[str, Any] = {"steps": 100, "engine": "lanes", "trace": 4}
    rates = np.geomspace(1e-4, 1e-1, 700).tolist()
    whole = gd.sweep("rosenbrock", "adam", learning_rate=rates, starts=gd.starts("sobol", 2), **options).table
    part = gd.sweep("rosenbrock", "adam", learning_rate=rates[300:310], starts=gd.starts("sobol", 2), **options).table
    lot = whole[whole["learning_rate"].isin(rates[300:310])].reset_index(drop=True)
    pd.testing.assert_frame_equal(lot.drop(columns="cell"), part.drop(columns="cell"), check_exact=True)


def test_what_xla_cannot_compile_in_one_piece_is_compiled_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces, compile_once = [], execute.Program._compile

    def refuse_one_piece(program: execute.Program, shared: Any) -> None:
        pieces.append(program.descent.one_piece)
        if program.descent.one_piece:
            raise jax.errors.JaxRuntimeError("INTERNAL: a loop is spread over threads")
        compile_once(program, shared)

    options: dict[str, Any] = {"learning_rate": [1e-3, 2e-3], "steps": 20, "starts": gd.starts("sobol", 2)}
    whole = gd.sweep("rosenbrock", "adam", engine="lanes", **options).table
    monkeypatch.setattr(execute.Program, "_compile", refuse_one_piece)
    apart = gd.sweep("rosenbrock", "adam", engine="lanes", **options)
    assert pieces == [True, False] and apart.results.cells[0]["engine"] == "lanes"
    np.testing.assert_allclose(apart.table["f_final"], whole["f_final"], rtol=1e-6)

    def refuse(program: execute.Program, shared: Any) -> None:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: no room")

    monkeypatch.setattr(execute.Program, "_compile", refuse)
    with pytest.raises(CellError, match="no room"):
        gd.sweep("rosenbrock", "adam", engine="lanes", **options)
