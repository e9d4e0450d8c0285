"""What a lane returns depends on its own arguments alone, and a cell is one program."""

from __future__ import annotations

import functools
import threading
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import gdbench as gd
from gdbench import runner
from gdbench.choices import choose_optimizer, resolve_optimizer
from gdbench.contracts import Optimizer
from gdbench.kernels import execute
from gdbench.kernels.descent import Descent
from gdbench.kernels.layout import Shape, chunk_length, rate_window, window_length
from gdbench.plan import make_plan
from gdbench.suite import build_suite

exact = pytest.mark.usefixtures("compiled_for_users")
"""To the last bit: that is said of what users run."""

RATES = np.geomspace(1e-4, 1e-2, 24).tolist()
STEPS = 120


@functools.cache
def _points(n: int) -> np.ndarray:
    return np.random.default_rng(5).uniform(-2, 2, (n, 2)).astype(np.float32).astype(float)


def _rosenbrock(rates: list[float] = RATES, points: np.ndarray | None = None, **options: Any) -> pd.DataFrame:
    """Rows by rate and start point, in an order of their own: what is compared must not depend on the grid."""
    points = _points(100) if points is None else points
    sweep = gd.sweep("rosenbrock", "gd", learning_rate=rates, x0=points, steps=STEPS, trace=8, paths=9999, **options)
    columns = ["learning_rate", "start_0", "start_1"]
    return sweep.table.drop(columns=["cell", "start"]).sort_values(columns).reset_index(drop=True)


@functools.cache
def _whole() -> pd.DataFrame:
    """2,400 lanes; a part of them diverges, a part oscillates, a part creeps."""
    return _rosenbrock()


def _identical(a: pd.DataFrame, b: pd.DataFrame) -> None:
    assert len(a) == len(b) > 0
    for name in a.columns:
        if a[name].dtype == object or "list" in str(a[name].dtype):
            np.testing.assert_array_equal(np.stack(a[name]), np.stack(b[name]), err_msg=name)
        else:
            # A column of whole numbers is real in a table that has a null in it.
            pd.testing.assert_series_equal(a[name], b[name], check_exact=True, check_dtype=False)


@exact
def test_the_sample_is_a_hard_one() -> None:
    assert {"diverged", "unfinished"} <= set(_whole()["outcome"])
    assert _whole()["outcome"].nunique() >= 3


@exact
@pytest.mark.parametrize("tile", [1, pytest.param(16, marks=pytest.mark.slow)])
def test_the_tile_changes_nothing(tile: int) -> None:
    _identical(_whole(), _rosenbrock(tile=tile))


@exact
@pytest.mark.slow
@pytest.mark.parametrize(
    ("problem", "optimizer", "dtype"),
    [
        ("rastrigin", "adam", "float32"),
        ("quadratic", "trial_and_error", "float64"),
        ("digits_softmax", "rmsprop", "float32"),
    ],
)
def test_tiles_devices_and_grids_change_nothing_elsewhere(problem: str, optimizer: str, dtype: str) -> None:
    name = "increment" if optimizer == "trial_and_error" else "learning_rate"
    count = 5 if problem == "digits_softmax" else 40
    options = {"steps": 60, "dtype": dtype, "starts": gd.starts("sobol", count)}
    rates = np.geomspace(1e-3, 1, count + 1).tolist()
    whole = gd.sweep(problem, optimizer, **{name: rates}, **options).table
    _identical(whole, gd.sweep(problem, optimizer, **{name: rates}, **options, tile=16, devices=1).table)
    one = gd.sweep(problem, optimizer, **{name: rates[2:3]}, **options).table.drop(columns=["cell", "optimizer"])
    kept = whole[whole[name] == rates[2]].reset_index(drop=True)
    _identical(kept[one.columns], one)


@exact
def test_one_device_gives_what_two_give() -> None:
    assert len(jax.local_devices()) == 2
    _identical(_whole(), _rosenbrock(devices=1))


@exact
def test_the_order_of_lanes_changes_nothing() -> None:
    _identical(_whole(), _rosenbrock(RATES[::-1], _points(100)[np.random.default_rng(0).permutation(100)]))


@exact
def test_more_of_a_grid_changes_no_row_that_was_there() -> None:
    few = _whole()["learning_rate"].isin(RATES[:3]) & _whole()["start_0"].isin(_points(100)[:7, 0])
    assert few.sum() == 21
    _identical(_whole()[few].reset_index(drop=True), _rosenbrock(RATES[:3], _points(100)[:7]))


@exact
@pytest.mark.slow
def test_a_hyperparameter_gives_the_same_as_a_value_and_as_an_axis() -> None:
    axis = gd.sweep("quadratic", "momentum", learning_rate=[0.05, 0.1], momentum=[0.5, 0.9], steps=60).table
    value = gd.sweep("quadratic", "momentum", learning_rate=[0.05, 0.1], momentum=0.9, steps=60).table
    kept = axis[axis["momentum"] == 0.9].drop(columns=["cell", "momentum", "optimizer"]).reset_index(drop=True)
    _identical(kept, value.drop(columns=["cell", "optimizer"])[kept.columns])


def _mixed(rates: list[float]) -> pd.DataFrame:
    """x - log x at rates that converge, and at one that jumps into the region of NaN at once."""
    options = {"x0": [[2.0], [0.5]], "steps": 200, "minimum": 1.0}
    return gd.sweep(lambda x: x[0] - jnp.log(x[0]), "momentum", learning_rate=rates, **options).table.drop(
        columns="cell"
    )


@exact
@pytest.mark.slow
def test_neighbours_that_end_leave_a_descent_alone() -> None:
    together = _mixed([0.01, 5.0, 1e30])
    assert (together.loc[together["learning_rate"] > 1, "outcome"] == "nonfinite").any()
    kept = together[together["learning_rate"] == 0.01].reset_index(drop=True)
    assert (kept["steps"] == 200).all()
    _identical(kept, _mixed([0.01]))


@exact
@pytest.mark.slow
def test_a_block_that_ends_early_returns_what_one_that_goes_on_does() -> None:
    # Every lane of the first sweep has diverged by step 60; one of the second keeps its block going to the end.
    ended = gd.sweep("parabola", "gd", learning_rate=[1.1, 1.5, 3.0], steps=960, paths=9, trace=9).table
    going = gd.sweep("parabola", "gd", learning_rate=[1.1, 1.5, 3.0, 0.1], steps=960, paths=9, trace=9).table
    assert (ended["steps"] < 60).all()
    _identical(ended.drop(columns="cell"), going.iloc[:3].drop(columns="cell"))


def test_one_compilation_a_cell() -> None:
    suite = {
        "suite": {"name": "count"},
        "experiment": [
            {
                "name": "rotated", "steps": 20, "starts": {"kind": "sobol", "num": 20},
                "problems": [{"name": "quadratic", "dim": 3, "rotation": True, "instance": [0, 1, 2]}],
                "optimizers": [{"name": "gd", "learning_rate": {"log": [1e-3, 1.0], "num": 50}}],
            }
        ],
    }  # fmt: skip
    before = execute.compile_count()
    results = runner.run_in_memory(build_suite(suite), runner.Options())
    assert execute.compile_count() == before + 1
    table = results.table()
    assert len(table) == 3 * 50 * 20
    # Another rotation, another descent: the instances did not all get the data of the first.
    assert table.groupby("instance")["f_final"].sum().nunique() == 3


def test_double_precision_stays_inside_its_cell() -> None:
    seen: list[Any] = []

    def square(x: Any) -> Any:
        seen.append(x.dtype)
        return x[0] ** 2

    table = gd.sweep(square, "gd", learning_rate=0.1, x0=[1.0], steps=5, dtype="float64").table
    assert {np.dtype(d) for d in seen} >= {np.dtype("float64")}
    assert table["f_final"].dtype == np.float64
    assert table["f_final"].iloc[0] == pytest.approx(0.8**10, rel=1e-14)
    found: list[Any] = [jnp.ones(1).dtype]
    thread = threading.Thread(target=lambda: found.append(jnp.ones(1).dtype))
    thread.start()
    thread.join()
    assert found == [np.dtype("float32")] * 2
    assert not jax.config.jax_enable_x64


NOISE = ["f_start", "f_final", "f_best", "grad_norm_final", "outcome", "trace_gap"]


def _digits(optimizer: str, **options: Any) -> pd.DataFrame:
    return gd.sweep("digits_softmax", optimizer, steps=60, trace=4, **options).table


@functools.cache
def _noisy() -> pd.DataFrame:
    return _digits("gd", learning_rate=[0.5], seeds=2)


@exact
@pytest.mark.slow
def test_noise_depends_on_seed_and_start_alone() -> None:
    more = _digits("gd", learning_rate=[0.1, 0.5, 2.0], seeds=2)
    kept = more[more["learning_rate"] == 0.5].reset_index(drop=True)
    _identical(kept[NOISE], _noisy()[NOISE])


@exact
@pytest.mark.slow
def test_optimizers_meet_the_same_noise() -> None:
    # Without momentum, momentum is gradient descent, up to the rounding of 0 m + g.
    same = _digits("momentum", learning_rate=[0.5], momentum=0.0, seeds=2)
    np.testing.assert_allclose(same["f_final"], _noisy()["f_final"], rtol=1e-6)


@exact
@pytest.mark.slow
def test_seeds_differ_and_so_does_the_seed_of_the_suite() -> None:
    assert _noisy()["f_final"].nunique() == 2
    assert not set(_digits("gd", learning_rate=[0.5], seeds=2, seed=1)["f_final"]) & set(_noisy()["f_final"])


def _descent(optimizer: Optimizer, problem: gd.Problem, steps: int = 10) -> Descent:
    return Descent(problem, optimizer, {}, Shape(steps))


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_are_powers_of_two(dtype: str, platform: str) -> None:
    for name in ("gd", "adam"):
        for dim in (2, 100, 5000):
            problem = gd.problem("rosenbrock", dim=dim)
            lanes = execute.block_lanes(_descent(resolve_optimizer(name), problem), dtype, platform)
            assert lanes >= 64
            assert lanes & (lanes - 1) == 0
    assert lanes < execute.block_lanes(_descent(resolve_optimizer("gd"), gd.problem("parabola")), dtype, platform)


def test_large_lanes_take_little_memory():
    """A million parameters in float64: a block and what is dispatched with it stay within a few hundred megabytes."""
    descent = _descent(resolve_optimizer("gd"), gd.problem("quadratic", dim=1_000_000))
    lanes = execute.block_lanes(descent, "float64", "cpu")
    assert lanes < execute.LEAST_LANES and lanes & (lanes - 1) == 0
    descent.apart = True
    tile = execute.tile_of(descent, "float64", lanes, lanes)
    assert tile * lanes * 4e6 * 8 <= 2 * execute.LARGE_BLOCK_BYTES


@pytest.mark.parametrize("engine", ["scan", "lanes"])
def test_blocks_do_not_depend_on_grid_or_budget(engine: str) -> None:
    def block(steps: int, rates: int) -> int:
        optimizer = {"name": "gd", "learning_rate": {"log": [1e-3, 1.0], "num": rates}}
        experiment = {"problems": ["parabola"], "optimizers": [optimizer], "steps": steps}
        suite = build_suite({"suite": {"name": "blocks"}, "experiment": [experiment]})
        return make_plan(suite, engine=engine)[0].block

    assert block(10, 1) == block(10, 100_000) == block(99_991, 7)


@pytest.mark.parametrize("steps", [1, 2, 7, 50, 64, 65, 97, 100, 500, 997, 1000, 2000, 4096, 99991])
def test_lengths_of_windows_and_chunks(steps: int) -> None:
    chunk, window = chunk_length(steps), window_length(steps)
    assert 1 <= chunk <= 64
    assert 1 <= window <= max(1, steps // 2)
    assert window == max(32, steps // 10) or steps < 64
    length = rate_window(steps, chunk)
    # Windows of the rate and chunks fit into one another, so that none is cut.
    assert length % chunk == 0 or chunk % length == 0
    assert 1 <= length <= max(1, steps // 32, min(16, steps // 2))


@pytest.mark.parametrize(("optimizer", "calls"), [("gd", False), ("optax/lbfgs", False), ("newton", True)])
def test_what_calls_lapack_is_known_and_runs_on_one_device(optimizer: str, calls: bool) -> None:
    # Decompositions on two CPU devices at once may wait for each other for ever.
    problem = gd.problem("rosenbrock")
    choice = choose_optimizer({"name": optimizer, "learning_rate": 0.1}, None)
    assert Descent(problem, choice.optimizer, choice.static, Shape(10)).facts.calls_lapack == calls
