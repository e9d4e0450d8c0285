"""The engine ``fused``: its kernel interpreted against ``scan``, and lowered for CUDA; no test needs a GPU."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from jax import lax

import gdbench as gd
from gdbench.catalogue import gather
from gdbench.contracts import OUTCOMES, Optimizer, ProblemFamily
from gdbench.errors import CellError, SuiteError
from gdbench.kernels import elements, execute, fused
from gdbench.kernels.descent import Descent, numerics
from gdbench.kernels.fused import Launch
from gdbench.kernels.layout import Shape
from gdbench.plan import make_plan, plain_descent
from gdbench.suite import build_suite

SCRIPT = Path(__file__).parents[1] / "gpu" / "measure.py"
_spec = importlib.util.spec_from_file_location("measure", SCRIPT)
assert _spec is not None and _spec.loader is not None
measure: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(measure)

LANES = 64
OPTIMIZERS = sorted(gather("gdbench.optimizers", Optimizer))
PROBLEMS = sorted(gather("gdbench.problems", ProblemFamily))


def both(
    problem: str, optimizer: str, steps: int, full: bool, rates: tuple[float, float], dtype: str = "float32",
    launch: Launch | None = None,
) -> list[dict[str, np.ndarray]]:  # fmt: skip
    """The records of a block by ``scan`` and by ``fused``."""
    with numerics(dtype):
        descent = measure.descent_of(problem, optimizer, steps, full)
        given = measure.block_of(descent, LANES, dtype, rates)
        found = [measure.engine(descent, name, launch)(*given) for name in ("scan", "fused")]
        return [{name: np.asarray(a) for name, a in records.items()} for records in found]


def agree(scan: dict[str, np.ndarray], ours: dict[str, np.ndarray], least: float) -> None:
    """The same record; where rounding decides, of that share of the lanes."""
    assert {n: (a.shape, a.dtype) for n, a in ours.items()} == {n: (a.shape, a.dtype) for n, a in scan.items()}
    for name, wanted in scan.items():
        if np.issubdtype(wanted.dtype, np.floating):
            same = np.isclose(ours[name], wanted, rtol=2e-3, atol=1e-6, equal_nan=True)
        else:
            same = ours[name] == wanted
        assert not same.size or same.mean() >= least, name


def outcomes(records: dict[str, np.ndarray]) -> set[str]:
    return {OUTCOMES[n] for n in np.unique(records["outcome"])}


CASES = [
    ("rosenbrock", "adam", 150, False, (1e-3, 1.0), "float32"),
    ("quadratic", "momentum", 300, True, (1e-3, 1.0), "float32"),
    ("himmelblau", "optax/lion", 120, False, (1e-3, 1.0), "float32"),
    ("beale", "optax/rmsprop", 500, False, (1e-3, 1e2), "float32"),
    ("booth", "rprop", 64, False, (1e-3, 1.0), "float64"),
    ("saddle", "gd", 67, False, (1e-2, 3.0), "float32"),
    ("rastrigin", "nesterov", 130, True, (1e-4, 1e-1), "float32"),
    ("rosenbrock", "gd", 1, False, (1e-4, 1e-1), "float32"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("problem", "optimizer", "steps", "full", "rates", "dtype"), CASES)
def test_descents_agree_with_scan(
    problem: str, optimizer: str, steps: int, full: bool, rates: tuple[float, float], dtype: str
) -> None:
    agree(*both(problem, optimizer, steps, full, rates, dtype), least=0.9)


def test_gradient_descent_on_a_parabola() -> None:
    """The last value and the best one are those of the formula, x_k = (1 - 2 rate)^k x_0 of f = x^2."""
    descent = measure.descent_of("parabola", "gd", 6)
    with numerics("float32"):
        given = measure.block_of(descent, LANES, "float32", (1e-2, 2.0))
        run = measure.engine(descent, "fused").lower(*given).compile({"xla_backend_optimization_level": 0})
        found = jax.device_get(run(*given))
    own = given[0]
    shrink = 1 - 2 * own.hyperparameters["learning_rate"][:, None].astype(float)
    values = (shrink ** np.arange(7) * own.x0.astype(float)) ** 2
    np.testing.assert_allclose(found["f_final"], values[:, -1], rtol=1e-4, atol=1e-30)
    np.testing.assert_allclose(found["f_best"], values.min(1), rtol=1e-4, atol=1e-30)


@pytest.mark.slow
def test_lanes_that_end_otherwise() -> None:
    scan, ours = both("quadratic", "gd", 100, False, (1e-3, 1e38))
    assert outcomes(scan) >= {"converged", "diverged", "nonfinite"}
    agree(scan, ours, least=1.0)


@pytest.mark.slow
def test_lanes_that_oscillate() -> None:
    scan, ours = both("rosenbrock", "gd", 200, False, (1e-3, 1e-2), launch=Launch(16, 1, 4))
    assert "oscillating" in outcomes(scan)
    agree(scan, ours, least=0.95)


@pytest.mark.slow
@pytest.mark.parametrize("problem", ["rosenbrock", "quadratic"])
def test_a_lane_depends_on_neither_neighbours_nor_the_way_it_is_judged(
    problem: str, compiled_for_users: dict[str, Any]
) -> None:
    descent = measure.descent_of(problem, "adam", 300)
    with numerics("float32"):
        own, common, shared = measure.block_of(descent, 256, "float32", (1e-3, 1e3))
        order = np.random.default_rng(0).permutation(256)

        def run(own: Any, launch: Launch) -> dict[str, np.ndarray]:
            lowered = measure.engine(descent, "fused", launch).lower(own, common, shared)
            return jax.device_get(lowered.compile(compiled_for_users)(own, common, shared))

        whole = run(own, Launch(32, unroll=2))
        mixed = run(jax.tree.map(lambda a: a[order], own), Launch(32, unroll=2))
        singly = run(own, Launch(64, at_once=False))
    for name, values in whole.items():
        np.testing.assert_array_equal(values[order], mixed[name], err_msg=name)
        np.testing.assert_array_equal(values, singly[name], err_msg=name)


@pytest.mark.slow
def test_a_program_ends_when_its_lanes_have() -> None:
    """Lanes that all diverge at once leave the record that scan leaves, long before the last step."""
    scan, ours = both("rosenbrock", "gd", 10**6, False, (10.0, 1e3))
    assert outcomes(ours) <= {"diverged", "nonfinite"} and ours["steps"].max() < 100
    agree(scan, ours, least=1.0)


@pytest.mark.slow
def test_a_sweep_by_this_engine() -> None:
    options: dict[str, Any] = {"learning_rate": gd.log_axis(1e-4, 1.0, 5), "starts": gd.starts("sobol", 4), "steps": 30}
    sweep = gd.sweep("rosenbrock", "gd", engine="fused", **options)
    assert sweep.results.cells[0]["engine"] == "fused"
    plain = gd.sweep("rosenbrock", "gd", engine="scan", **options).table
    pd.testing.assert_frame_equal(
        sweep.table.drop(columns="cell"), plain.drop(columns="cell"), check_exact=False, rtol=1e-4
    )


# What it takes


@pytest.mark.parametrize(
    ("problem", "optimizer", "shape", "why"),
    [
        ("rosenbrock", "scipy/bfgs", Shape(10), "host"),
        ("rosenbrock", "newton", Shape(10), "lu"),
        ("digits_softmax", "gd", Shape(10), "at random|over"),
        ("rosenbrock", "gd", Shape(10, trace_steps=(0, 10)), "certain steps"),
        ("rosenbrock", "gd", Shape(10, path_steps=(0, 10)), "certain steps"),
        ("rosenbrock", "gd", Shape(10, targets=2), "targets"),
        ("rosenbrock", "gd", Shape(10, budget=5.0), "counted"),
        ("rosenbrock", "gd", Shape(10, bare=True), "judged"),
        ("rosenbrock", "random_search", Shape(10), "random_seed"),
    ],
)
def test_what_is_refused_says_why(problem: str, optimizer: str, shape: Shape, why: str) -> None:
    plain = plain_descent(problem, optimizer)
    reason = fused.refusal(Descent(plain.problem, plain.optimizer, plain.static, shape))
    assert reason is not None and any(part in reason for part in why.split("|")), reason


def test_what_is_refused_fails_where_it_is_asked_for() -> None:
    with pytest.raises(CellError, match="targets"):
        gd.sweep("rosenbrock", "gd", steps=3, learning_rate=0.1, targets=[1.0], engine="fused")


def test_it_is_taken_only_where_it_is_asked_for() -> None:
    descent = plain_descent("rosenbrock", "gd")
    assert [execute.engine_of(descent, on) for on in ("gpu", "cuda", "tpu")] == ["scan"] * 3
    assert execute.engine_of(descent, "cpu") != "fused"
    assert {execute.engine_of(descent, on, "fused") for on in ("gpu", "cuda", "cpu")} == {"fused"}
    with pytest.raises(SuiteError, match="kernel for a tpu"):
        execute.engine_of(descent, "tpu", "fused")
    assert execute.engine_refusal(descent, "gpu") == "it is slower than scan on a gpu"
    grid = {"problems": ["rosenbrock"], "optimizers": ["gd"], "learning_rate": [0.1], "steps": 100}
    suite = build_suite({"suite": {"name": "short"}, "experiment": [grid]})
    # A short descent is judged apart, but not from within a kernel that judges it.
    assert [make_plan(suite, "cpu", engine=name)[0].descent.apart for name in ("scan", "fused")] == [True, False]
    descent.engine = "fused"
    assert execute.block_lanes(descent, "float32", "gpu") == fused.BLOCK_LANES


# What Triton would do otherwise


@pytest.mark.parametrize("name", ["max", "min", "clamp", "reduce_max", "cummin"])
def test_a_nan_is_kept(name: str) -> None:
    asks = {
        "max": lambda x: lax.max(x[0], x[1]), "min": lambda x: lax.min(x[0], x[1]),
        "clamp": lambda x: lax.clamp(jnp.float32(-1), x[0], jnp.float32(1)), "reduce_max": jnp.max,
        "cummin": lax.cummin,
    }  # fmt: skip
    numbers = np.array([np.nan, -np.inf, -2, 0.5, 2, np.inf], np.float32)
    x = np.stack(np.meshgrid(numbers, numbers), -1).reshape(-1, 2)
    closed = jax.make_jaxpr(asks[name])(x[0])
    with elements.instead(fused._keeping_nan(by_instruction=False)):
        [found] = elements.evaluate(closed.jaxpr, [], [elements.split_lanes(jnp.asarray(x), True)])
    found = np.stack([np.broadcast_to(a, len(x)) for a in found.flat], -1)
    np.testing.assert_array_equal(found, np.asarray(jax.vmap(asks[name])(x)).reshape(found.shape))


LOWERED = [
    (problem, optimizer, "float32", Launch())
    for problem in ("rosenbrock", "rastrigin", "quadratic")
    for optimizer in ("gd", "adam")
] + [
    ("himmelblau", "optax/lion", "float32", Launch(64, 2, modern=False)),
    ("ackley", "optax/yogi", "float64", Launch(32, 1)),
    ("rosenbrock", "optax/optimistic_adam", "float32", Launch()),
]


def lowered(problem: str, optimizer: str, dtype: str, launch: Launch, steps: int = 1000) -> str:
    """The text of the program for CUDA."""
    with numerics(dtype):
        descent = measure.descent_of(problem, optimizer, steps)
        # Scales are numbers, of which a text tells nothing.
        given = measure.block_of(descent, 256, dtype, (1e-3, 1.0), scales=(1.0, 1.0))
        run = jax.jit(lambda *given: fused.records(descent, *given, launch=launch))
        return run.trace(*given).lower(lowering_platforms=("cuda",)).as_text()


@pytest.mark.parametrize(("problem", "optimizer", "dtype", "launch"), LOWERED)
def test_a_descent_lowers_for_cuda(problem: str, optimizer: str, dtype: str, launch: Launch) -> None:
    assert lowered(problem, optimizer, dtype, launch).count("__gpu$xla.gpu.triton") == 1


def test_the_whole_program_of_a_cell_lowers_for_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel within the loop over blocks, on each of several devices."""
    texts: list[str] = []

    class Jitted:
        def __init__(self, function: Any, **more: Any) -> None:
            self.function, self.more = function, more

        def lower(self, *given: Any) -> Any:
            lowered = jit(self.function, **self.more).trace(*given).lower(lowering_platforms=("cuda",))
            texts.append(lowered.as_text())
            return SimpleNamespace(compile=lambda **_: None)

    descent = measure.descent_of("rosenbrock", "gd", 1000)
    descent.engine, jit = "fused", jax.jit
    shared = measure.block_of(descent, 64, "float32", (1e-3, 1.0))[2]
    program = execute.Program(descent, "float32", 256, 2, execute.local_devices(2))
    execute.compiler_options()  # asked for here, or it would be asked of what stands for ``jax.jit``
    monkeypatch.setattr(execute.Program, "interpreted", False)
    monkeypatch.setattr(execute.jax, "jit", Jitted)
    program._compile(shared)
    assert [text.count("__gpu$xla.gpu.triton") for text in texts] == [1]


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS + PROBLEMS)
def test_all_that_is_not_refused_lowers_for_cuda(name: str) -> None:
    problem, optimizer = ("rosenbrock", name) if name in OPTIMIZERS else (name, "gd")
    reason = fused.refusal(plain_descent(problem, optimizer))
    if reason is not None:
        pytest.skip(reason)
    # One step is both looked at and judged; that many are lowered too is said by ``LOWERED``.
    assert lowered(problem, optimizer, "float32", Launch(), steps=1).count("__gpu$xla.gpu.triton") == 1


# The script for a machine with a GPU


@pytest.mark.slow
def test_the_script_that_measures_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "fused.json"
    monkeypatch.setattr("sys.argv", ["measure.py", "--tiny", "--out", str(out)])
    measure.main()
    found = json.loads(out.read_text())
    assert not [name for name, part in found["parts"].items() if "failed" in part]
    assert found["summary"]["lane_steps_per_second"] > 0
