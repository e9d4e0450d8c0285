"""The engine ``native`` against ``scan``: all that it takes, whole descents of it, and what it says where it is not."""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax import lax

import gdbench as gd
from gdbench.catalogue import gather
from gdbench.contracts import OUTCOMES, Optimizer, ProblemFamily
from gdbench.errors import CellError, SuiteError
from gdbench.kernels import execute, llvm, native, native_program, saved, scale, vectors
from gdbench.kernels.descent import Descent, Lane, Shared, join, numerics
from gdbench.kernels.instructions import Writer
from gdbench.kernels.layout import Shape
from gdbench.plan import plain_descent, resolve_problem

SCRIPT = Path(__file__).parents[1] / "gpu" / "measure.py"
_spec = importlib.util.spec_from_file_location("measure", SCRIPT)
assert _spec is not None and _spec.loader is not None
measure: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(measure)

MISSING = llvm.refusal()
here = pytest.mark.skipif(MISSING is not None, reason=MISSING or "")
OPTIMIZERS = sorted(gather("gdbench.optimizers", Optimizer))
PROBLEMS = sorted(gather("gdbench.problems", ProblemFamily))
CORE = {"gd", "adam", "optax/lion", "rosenbrock", "rastrigin"}
LANES = 64
Records = dict[str, np.ndarray]


def run(descent: Descent, lane: Lane, shared: Shared, dtype: str = "float32") -> Records:
    """The records of some lanes by this engine."""
    descent.engine = "native"
    program = native_program.NativeProgram(descent, dtype, 64, -(-len(lane.x0) // 64), execute.local_devices(1))
    program.compile(shared)
    return program.fetch(program.start(lane, program.place(shared)))


def arguments(descent: Descent, lanes: int, rates: tuple[float, float], dtype: str = "float32") -> tuple[Lane, Shared]:
    """So many lanes, and what they share."""
    own, common, shared = measure.block_of(descent, lanes, dtype, rates)
    return join(own, jax.tree.map(lambda a: np.broadcast_to(a, (lanes, *np.shape(a))), common)), shared


def both(
    problem: str, optimizer: str, steps: int, full: bool, rates: tuple[float, float], dtype: str = "float32"
) -> list[Records]:
    """The records of the same lanes by ``scan`` and by this engine."""
    descent = measure.descent_of(problem, optimizer, steps, full)
    with numerics(dtype):
        block = measure.block_of(descent, LANES, dtype, rates)
        # Few optimizations, which take most of the time; without any, jaxlib 0.10.2 gives NaN on bbob/f22.
        options = execute.compiler_options() | {"xla_backend_optimization_level": 1}
        lowered = measure.engine(descent, "scan").lower(*block)
        scan = getattr(lowered, "compile_as_asked", lowered.compile)(options)(*block)
        scan = {name: np.asarray(a) for name, a in scan.items()}
    return [scan, run(descent, *arguments(descent, LANES, rates, dtype), dtype)]


def agree(scan: Records, ours: Records, least: float) -> None:
    """The same record; where rounding decides, of that share of the lanes."""
    assert {n: (a.shape, a.dtype) for n, a in ours.items()} == {n: (a.shape, a.dtype) for n, a in scan.items()}
    for name, wanted in scan.items():
        if np.issubdtype(wanted.dtype, np.floating):
            same = np.isclose(ours[name], wanted, rtol=2e-3, atol=1e-6, equal_nan=True)
        else:
            same = ours[name] == wanted
        assert not same.size or same.mean() >= least, (name, same.mean())


def outcomes(records: Records) -> set[str]:
    return {OUTCOMES[n] for n in np.unique(records["outcome"])}


# Instructions


NUMBERS = np.array(
    [np.nan, -np.inf, -1e30, -7.5, -2.5, -2.0, -1.0, -0.5, -0.0, 0.0, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0, 8.0, 1e30, np.inf]
)


def by_instructions(ask: Any, *columns: np.ndarray) -> list[np.ndarray]:
    """A function of vectors as this engine computes it."""
    lanes, dtype = len(columns[0]), columns[0].dtype
    width = llvm.host().bits // 8 // max(4, dtype.itemsize if dtype.kind == "f" else 4)
    closed = jax.make_jaxpr(ask)(*[jax.ShapeDtypeStruct((width,), c.dtype) for c in columns])
    code = llvm.object_code(
        vectors.write_module(Writer(width, dtype if dtype.kind == "f" else "float32", llvm.host()), closed)
    )
    full = -(-lanes // width) * width
    given = [np.resize(c, full) for c in columns]
    out = [np.empty(full, np.int8 if v.aval.dtype == bool else v.aval.dtype) for v in closed.jaxpr.outvars]
    pending = native_program.Pending(llvm.Code(code), given, out, lanes, full // width)
    pending.run()
    return [column[:lanes] for column in out]


ASKS: dict[str, Any] = {
    "arithmetic": lambda x, y: (x + y, x - y, x * y, x / y, -x, abs(x), x**3, x**-2, lax.square(x)),
    "a sum of products": lambda x, y: (x * y + x, x - x * y, x * y - y, x * y + y * y),
    "the larger": lambda x, y: (lax.max(x, y), lax.min(x, y), lax.clamp(-1.0, x, 1.0), jnp.sign(x)),
    "comparisons": lambda x, y: (x < y, x <= y, x > y, x >= y, x == y, x != y),
    "logic": lambda x, y: (~(x < y), (x < y) | (x > 1), (x < y) ^ True, (x < y) & (y > 0)),
    "choices": lambda x, y: (jnp.where(x < y, x, y), jnp.isfinite(x), lax.select_n(x < 0, x, y)),
    "rounding": lambda x, y: (jnp.floor(x), jnp.ceil(x), jnp.round(x), lax.round(x)),
    "roots": lambda x, y: (jnp.sqrt(x), lax.rsqrt(x), jnp.cbrt(x)),
    "whole numbers": lambda x, y: (x.astype(int), (x > 0).astype(int) + 1, (x < y).astype(x.dtype)),
    "powers": lambda x, y: (jnp.exp(x), jnp.log(x), jnp.expm1(x), jnp.log1p(x), x**y, jnp.exp2(x)),
    "waves": lambda x, y: (jnp.sin(x), jnp.cos(x), jnp.tan(x), jnp.tanh(x), jnp.arctan(x)),
    "others": lambda x, y: (jnp.arctan2(x, y), jnp.cosh(x), jnp.sinh(x), jax.nn.sigmoid(x), lax.erf(x)),
    "what is left": lambda x, y: (lax.rem(x, y),),
}  # fmt: skip


@here
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("what", ASKS)
def test_instructions(what: str, dtype: str) -> None:
    x, y = (a.ravel().astype(dtype) for a in np.meshgrid(NUMBERS, NUMBERS))
    if what in ("waves", "a sum of products"):
        # Far out, XLA and the C library reduce an argument differently, and contract other products.
        x, y = (np.where(abs(a) < 1e9, a, 1).astype(dtype) for a in (x, y))
    with numerics(dtype):
        wanted = jax.tree.leaves(jax.jit(ASKS[what])(x, y))
        found = by_instructions(ASKS[what], x, y)
    for n, (one, other) in enumerate(zip(found, wanted, strict=True)):
        other = np.asarray(other)
        if other.dtype.kind == "f":
            np.testing.assert_allclose(one, other, rtol=3e-6 if dtype == "float32" else 1e-13, err_msg=f"{what} {n}")
        else:
            np.testing.assert_array_equal(one, other, err_msg=f"{what} {n}")


@here
def test_instructions_on_whole_numbers() -> None:
    def ask(x: Any, y: Any) -> Any:
        return (
            x + y, x - y, x * y, lax.div(x, y), lax.rem(x, y), lax.max(x, y), -x, abs(x), jnp.sign(x), x & y, x | y,
            x ^ y, ~x, lax.shift_left(x, y), lax.shift_right_arithmetic(x, y), lax.shift_right_logical(x, y), x < y,
            x.astype("float32"), x.astype(bool), x**3,
        )  # fmt: skip

    numbers = np.array([-(2**31) + 1, -40, -3, -1, 0, 1, 2, 5, 31, 32, 33, 2**31 - 1], np.int32)
    x, y = (a.ravel() for a in np.meshgrid(numbers, numbers))
    wanted = jax.tree.leaves(jax.jit(ask)(x, y))
    for n, (one, other) in enumerate(zip(by_instructions(ask, x, y), wanted, strict=True)):
        np.testing.assert_array_equal(one, np.asarray(other), err_msg=str(n))


@here
def test_small_numbers_are_zero_as_in_what_xla_compiles() -> None:
    x = np.array([1e-39, 2e-38, -1e-40, 1.0], np.float32)

    def ask(x: Any) -> Any:
        return x * np.float32(0.5), x + x

    for one, other in zip(by_instructions(ask, x), jax.jit(ask)(x), strict=True):
        np.testing.assert_array_equal(one, np.asarray(other))
    assert np.float32(1e-39) * np.float32(0.5) > 0  # the thread's own numbers are as they were


@here
def test_what_lanes_share_is_remembered() -> None:
    """A function of numbers that depend on the step alone: the same wherever it is found."""

    def ask(x: Any) -> Any:
        def body(loop: Any) -> Any:
            k, s = loop
            decay = jnp.power(jnp.float32(0.9), k.astype("float32"))
            return k + 1, s + x * decay * jnp.cos(k * jnp.float32(0.37))

        return lax.while_loop(lambda loop: loop[0] < 5000, body, (jnp.int32(0), jnp.zeros_like(x)))[1]

    x = np.linspace(0.5, 2, 100).astype(np.float32)
    np.testing.assert_allclose(by_instructions(ask, x)[0], np.asarray(jax.jit(ask)(x)), rtol=1e-5)


# Whole descents


CASES = [
    ("rosenbrock", "adam", 150, False, (1e-3, 1.0), "float32"),
    ("quadratic", "momentum", 300, True, (1e-3, 1.0), "float32"),
    ("himmelblau", "optax/lion", 120, False, (1e-3, 1.0), "float32"),
    ("beale", "optax/rmsprop", 500, False, (1e-5, 1e-3), "float32"),
    ("booth", "rprop", 64, False, (1e-3, 1.0), "float64"),
    ("saddle", "gd", 67, False, (1e-2, 3.0), "float32"),
    ("rastrigin", "nesterov", 130, True, (1e-4, 1e-3), "float32"),
    ("rosenbrock", "gd", 1, False, (1e-4, 1e-1), "float32"),
    ("quadratic", "gd", 1000, False, (1e-3, 1.0), "float64"),
    ("parabola", "gd", 437, False, (1e-3, 1.2), "float32"),
]


@here
@pytest.mark.slow
@pytest.mark.parametrize(("problem", "optimizer", "steps", "full", "rates", "dtype"), CASES)
def test_descents_agree_with_scan(
    problem: str, optimizer: str, steps: int, full: bool, rates: tuple[float, float], dtype: str
) -> None:
    agree(*both(problem, optimizer, steps, full, rates, dtype), least=0.9)


CHAOTIC = {"barzilai_borwein": 0.3, "easom": 0.7}
"""Share of the lanes that agree where every rounding grows at every step, or is all that there is of a gradient."""

UNRESOLVED = {"bbob/f16", "bbob/f19", "bbob/f23", "easom"}
"""Problems whose gradient float32 does not resolve, and on which every step worth its name is chaotic."""


def _agrees(problem: str, optimizer: str) -> None:
    reason = native.refusal(plain_descent(problem, optimizer))
    if reason is not None:
        pytest.skip(reason)
    rates, dtype = (1e-5, 1e-3), "float64" if problem in UNRESOLVED else "float32"
    if optimizer == "gd":
        # Steps that are short beside the box: long ones are chaotic on many of the problems.
        found = resolve_problem(problem)
        low, high = found.box or (0, 1)
        reach = (
            float(np.max(np.asarray(high) - np.asarray(low)))
            / scale.measure_scales(found, [dict(found.parameters)])[0][1]
        )
        rates = (1e-20, 1e-19) if problem in UNRESOLVED else (1e-8 * reach, 1e-5 * reach)
    agree(
        *both(problem, optimizer, 60, False, rates, dtype),
        least=min(CHAOTIC.get(name, 0.9) for name in (problem, optimizer)),
    )


@here
@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in CORE else pytest.mark.slow) for n in OPTIMIZERS])
def test_descents_by_every_optimizer(name: str) -> None:
    _agrees("rosenbrock", name)


@here
@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in CORE else pytest.mark.slow) for n in PROBLEMS])
def test_descents_on_every_problem(name: str) -> None:
    _agrees(name, "gd")


@here
def test_gradient_descent_on_a_parabola() -> None:
    """The last value and the best one are those of the formula, x_k = (1 - 2 rate)^k x_0 of f = x^2."""
    descent = measure.descent_of("parabola", "gd", 6)
    lane, shared = arguments(descent, 70, (1e-2, 2.0))
    found = run(descent, lane, shared)
    shrink = 1 - 2 * lane.hyperparameters["learning_rate"][:, None].astype(float)
    values = (shrink ** np.arange(7) * lane.x0.astype(float)) ** 2
    np.testing.assert_allclose(found["f_final"], values[:, -1], rtol=1e-4, atol=1e-30)
    np.testing.assert_allclose(found["f_best"], values.min(1), rtol=1e-4, atol=1e-30)


@here
@pytest.mark.slow
def test_lanes_that_end_otherwise() -> None:
    scan, ours = both("quadratic", "gd", 100, False, (1e-3, 1e38))
    assert outcomes(scan) >= {"converged", "diverged", "nonfinite"}
    agree(scan, ours, least=1.0)


@here
@pytest.mark.slow
def test_lanes_that_oscillate() -> None:
    scan, ours = both("rosenbrock", "gd", 200, False, (1e-3, 1e-2))
    assert "oscillating" in outcomes(scan)
    agree(scan, ours, least=0.95)


@here
@pytest.mark.parametrize(
    ("problem", "optimizer", "full", "dtype"),
    [
        ("rosenbrock", "adam", False, "float32"), ("parabola", "gd", False, "float32"),
        pytest.param("quadratic", "momentum", True, "float64", marks=pytest.mark.slow),
        pytest.param("rastrigin", "optax/lion", False, "float32", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_a_lane_depends_on_neither_neighbours_nor_the_way_it_is_judged(
    problem: str, optimizer: str, full: bool, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    descent = measure.descent_of(problem, optimizer, 437, full)
    lane, shared = arguments(descent, 200, (1e-3, 1e3), dtype)
    order = np.random.default_rng(0).permutation(200)
    whole, mixed = (
        run(descent, lane, shared, dtype),
        run(descent, jax.tree.map(lambda a: a[order], lane), shared, dtype),
    )
    few = run(descent, jax.tree.map(lambda a: a[77:80], lane), shared, dtype)
    judged = functools.partial(native.group_program, at_once=False)
    monkeypatch.setattr(native, "group_program", judged)
    singly = run(descent, lane, shared, dtype)
    for name, values in whole.items():
        np.testing.assert_array_equal(values[order], mixed[name], err_msg=name)
        np.testing.assert_array_equal(values[77:80], few[name], err_msg=name)
        np.testing.assert_array_equal(values, singly[name], err_msg=name)


@here
def test_a_group_ends_when_its_lanes_have() -> None:
    """Lanes that all diverge at once are done long before the last step."""
    descent = measure.descent_of("rosenbrock", "gd", 10**6)
    found = run(descent, *arguments(descent, LANES, (10.0, 1e3)))
    assert outcomes(found) <= {"diverged", "nonfinite"} and found["steps"].max() < 100


def _both_sweeps(problem: str, optimizer: str, **options: Any) -> list[pd.DataFrame]:
    found = [gd.sweep(problem, optimizer, engine=engine, **options).table for engine in ("scan", "native")]
    return [table.drop(columns="cell") for table in found]


@here
@pytest.mark.slow
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    optimizer=st.sampled_from(["gd", "momentum", "adam", "optax/rmsprop", "rprop"]),
    problem=st.sampled_from(["quadratic", "rosenbrock", "beale", "himmelblau", "saddle"]),
    steps=st.sampled_from([1, 7, 60, 500, 1009]),
    record=st.sampled_from(["outcome", "full"]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_whole_descents_agree(optimizer: str, problem: str, steps: int, record: str, dtype: str) -> None:
    scan, ours = _both_sweeps(
        problem, optimizer, learning_rate=gd.log_axis(1e-3, 1.0, 9), starts=gd.starts("sobol", 8), steps=steps,
        record=record, dtype=dtype,
    )  # fmt: skip
    # Rounding decides on which side of a boundary of chaos a descent falls.
    assert (scan["outcome"] == ours["outcome"]).mean() >= 0.95
    calm = (scan["outcome"] == ours["outcome"]) & (scan["outcome"] == "converged")
    assert (scan["steps"] == ours["steps"])[calm].all()
    close = np.isclose(scan["settle_step"][calm].astype(float), ours["settle_step"][calm].astype(float), rtol=0.05)
    assert close.mean() >= 0.95 if calm.any() else True


@here
def test_a_sweep_by_this_engine() -> None:
    options: dict[str, Any] = {
        "learning_rate": gd.log_axis(1e-4, 1.0, 5), "b1": [0.8, 0.9], "starts": gd.starts("sobol", 40), "steps": 30,
    }  # fmt: skip
    whole = gd.sweep("rosenbrock", "adam", engine="native", **options)
    assert whole.results.cells[0]["engine"] == "native"
    plain = gd.sweep("rosenbrock", "adam", engine="scan", **options).table.drop(columns="cell")
    table = whole.table.drop(columns="cell")
    pd.testing.assert_frame_equal(table, plain, check_exact=False, rtol=1e-3)
    apart = gd.sweep("rosenbrock", "adam", engine="native", tile=1, devices=1, **options).table
    pd.testing.assert_frame_equal(table, apart.drop(columns="cell"), check_exact=True)
    options["starts"] = gd.starts("sobol", 3)
    part = gd.sweep("rosenbrock", "adam", engine="native", **options).table.drop(columns="cell")
    lot = table[table["start"] < 3].reset_index(drop=True)
    pd.testing.assert_frame_equal(lot, part, check_exact=True)


# What it takes


@here
@pytest.mark.parametrize(
    ("problem", "optimizer", "shape", "why"),
    [
        ("rosenbrock", "scipy/bfgs", Shape(10), "host"),
        ("rosenbrock", "newton", Shape(10), "lu"),
        ("rosenbrock", "gd", Shape(10, targets=2), "targets"),
        ("rosenbrock", "gd", Shape(10, budget=5.0), "counted"),
        ("rosenbrock", "gd", Shape(10, bare=True), "judged"),
        ("rosenbrock", "random_search", Shape(10), "no instructions for erf_inv"),
    ],
)
def test_what_is_refused_says_why(problem: str, optimizer: str, shape: Shape, why: str) -> None:
    plain = plain_descent(problem, optimizer)
    reason = native.refusal(Descent(plain.problem, plain.optimizer, plain.static, shape))
    assert reason is not None and why in reason, reason


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    descent = plain_descent("rosenbrock", "gd")
    assert execute.engine_of(descent, "cpu") == "lanes"
    with pytest.raises(SuiteError, match=r"pip install 'gdbench\[native\]'"):
        execute.engine_of(descent, "cpu", "native")
    with pytest.raises(CellError, match="native"):
        gd.sweep("rosenbrock", "gd", steps=3, learning_rate=0.1, engine="native")


@here
def test_the_rule_takes_it_on_a_cpu_alone() -> None:
    descent = plain_descent("rosenbrock", "gd")
    assert [execute.engine_of(descent, on) for on in ("cpu", "gpu")] == ["native", "scan"]
    with pytest.raises(SuiteError, match="no code for a gpu"):
        execute.engine_of(descent, "gpu", "native")


@here
def test_code_is_kept_between_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def descend() -> Records:
        descent = measure.descent_of("rosenbrock", "gd", 50)
        descent.identity = "a test"
        return run(descent, *arguments(descent, LANES, (1e-4, 1e-2)))

    def refuse(*_: Any) -> Any:
        raise AssertionError("it was made again")

    monkeypatch.setattr(saved, "_folder", tmp_path)
    first, build = descend(), native.group_program
    monkeypatch.setattr(native, "group_program", refuse)
    for name, values in descend().items():
        np.testing.assert_array_equal(values, first[name])
    monkeypatch.setattr(native, "group_program", build)
    for file in tmp_path.iterdir():
        if not file.name.endswith(".jsonl"):
            file.write_bytes(b"cut short")
    for name, values in descend().items():
        np.testing.assert_array_equal(values, first[name])
