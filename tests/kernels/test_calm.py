"""Chunks of which only the reach is kept: what is told of a descent is what is told of it point by point."""

from __future__ import annotations

import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import gdbench as gd
from gdbench.kernels import calm, compiler, execute

RATES = [1e-4, 2e-3, 0.05, 0.3, 0.6, 1.0, 30.0, 1e20]
STEPS = 500


@pytest.fixture
def phases(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many phases each descent that is compiled is, 0 where it is judged point by point throughout."""
    found: list[int] = []
    serves = calm.Calm.serves

    def told(self: calm.Calm, *known: Any) -> bool:
        found.append(len(self.phases) if serves(self, *known) else 0)
        return bool(found[-1])

    monkeypatch.setattr(calm.Calm, "serves", told)
    return found


def sweep(problem: Any, optimizer: str = "gd", steps: int = STEPS, **more: Any) -> pd.DataFrame:
    """Descents that converge, crawl, swing, diverge and break, some of them in the middle of others."""
    more = {"learning_rate": RATES, "starts": gd.starts("sobol", 24)} | more
    return gd.sweep(problem, optimizer, steps=steps, engine="lanes", **more).table


def close(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Two programs may round otherwise, and few descents are chaotic."""
    alike = (one["outcome"] == other["outcome"]) & (one["steps"] == other["steps"])
    assert alike.mean() > 0.97
    for name in ("settle_step", "overshoots"):
        assert (one[name].fillna(-1) == other[name].fillna(-1))[alike].mean() > 0.97, name
    for name in ("f_start", "f_best", "rate", "grad_norm_final"):
        a, b = (frame[name][alike].astype(float).to_numpy() for frame in (one, other))
        near = np.isclose(a, b, rtol=2e-3, atol=1e-6, equal_nan=True)
        assert near.mean() > 0.97, name


CASES = [
    ("parabola", "gd", {}), ("booth", "gd", {"dtype": "float64"}), ("rosenbrock", "gd", {"record": "full"}),
    ("himmelblau", "momentum", {}), ("beale", "adam", {}), ("saddle", "gd", {}), ("booth", "nesterov", {"steps": 1000}),
    ("booth", "momentum", {"record": "full", "steps": 2000}),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_anew")
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}-{len(case[2])}")
def test_it_tells_what_is_told_point_by_point(phases: list[int], monkeypatch: pytest.MonkeyPatch, case: Any) -> None:
    problem, optimizer, more = case
    ours = sweep(problem, optimizer, **more)
    assert phases[0] > 0
    monkeypatch.setattr(calm.Calm, "serves", lambda *_: False)
    other = sweep(problem, optimizer, **more)
    close(ours, other)
    if problem in ("parabola", "booth", "saddle"):  # no descent on a quadratic is chaotic
        pd.testing.assert_series_equal(ours["outcome"], other["outcome"])
        pd.testing.assert_series_equal(ours["steps"], other["steps"])


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_for_users", "compiled_anew")
def test_a_lane_is_the_same_beside_lanes_in_which_something_happens(phases: list[int]) -> None:
    # The same descents, once beside others that are lost at all times: at rates just beyond what the valley bears.
    rates = [float(rate) for rate in np.geomspace(1e-4, 1.6e-3, 12)]
    lost = [float(rate) for rate in np.geomspace(1.8e-3, 0.1, 40)]
    alone = sweep("rosenbrock", learning_rate=rates).set_index(["learning_rate", "start"])
    beside = sweep("rosenbrock", learning_rate=[*rates, *lost]).set_index(["learning_rate", "start"])
    assert phases == [2, 2] and beside["steps"].nunique() > 5
    columns = alone.columns.drop("cell")
    pd.testing.assert_frame_equal(alone[columns], beside[columns].loc[alone.index], check_exact=True)


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_anew")
def test_a_value_that_is_not_finite_stops_a_descent_where_it_stands(phases: list[int]) -> None:
    # Where 9 < x < 11 the value is NaN and the gradient 0: the velocity carries x through, and it is finite again.
    def hole(x: Any) -> Any:
        return jnp.sum(jnp.where(jnp.abs(x - 10) < 1, jnp.nan, jnp.abs(x)))

    starts = np.array([[20.0], [5.0], [9.0], [15.0], [400.0]])
    facts: dict[str, Any] = {"x0": starts, "minimum": 0.0, "box": (-20.0, 20.0), "learning_rate": [0.1]}
    ours, plain = (
        gd.sweep(hole, "momentum", steps=STEPS, engine=engine, **facts).table.set_index("start_0")
        for engine in ("lanes", "scan")
    )
    assert phases[0] == 2
    assert set(ours.loc[[20.0, 15.0, 400.0], "outcome"]) == {"nonfinite"}
    assert not {"nonfinite", "diverged"} & set(ours.loc[[5.0, 9.0], "outcome"])
    assert ours["steps"].tolist() == plain["steps"].tolist() and ours["steps"].nunique() == 4
    np.testing.assert_allclose(ours["f_best"].astype(float), plain["f_best"].astype(float), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_for_users", "compiled_anew")
def test_sums_are_added_in_one_order(phases: list[int]) -> None:
    # An event beside a lane cuts what is summed of it into other pieces: a flat valley far out, and lanes lost in W.
    def valley(x: Any) -> Any:
        return jnp.abs(x[0]) + 0.5 * x[1] ** 2

    options: dict[str, Any] = {"minimum": 0.0, "box": (-5.0, 5.0), "learning_rate": [0.1], "steps": STEPS}
    calm_ones = [[-3.7 + 0.9 * i, 0.1 * i] for i in range(8)]
    far = [[4e7 + 3e6 * i, 0.0] for i in range(8)]
    alone = gd.sweep(valley, "gd", x0=np.array(calm_ones), engine="lanes", **options).table
    beside = gd.sweep(valley, "gd", x0=np.array(calm_ones + far), engine="lanes", **options).table
    assert phases == [2, 2]
    columns = [name for name in alone if name not in ("cell", "start")]
    pd.testing.assert_frame_equal(alone[columns], beside[columns].head(8), check_exact=True)


@pytest.mark.parametrize(
    "more",
    [{"steps": 501}, {"steps": 800}, {"trace": 4}, {"targets": [1e-3]}, {"paths": 1}],
    ids=["odd", "no-whole-chunks", "trace", "targets", "paths"],
)  # fmt: skip
def test_what_asks_for_more_is_judged_point_by_point(phases: list[int], more: dict[str, Any]) -> None:
    sweep("parabola", learning_rate=[0.1], starts=gd.starts("sobol", 2), **more)
    assert phases == [0]


def test_without_the_checks_of_many_arrays_it_is_left(phases: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calm, "pairs_checked", lambda: compiler.FEW)
    sweep("parabola", learning_rate=[0.1], starts=gd.starts("sobol", 2))
    assert phases == [0]


# The flag


@pytest.fixture
def flags(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    return monkeypatch


def test_the_flag_is_added_to_those_that_are_there(flags: pytest.MonkeyPatch) -> None:
    flags.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    compiler.check_many_pairs()
    assert os.environ["XLA_FLAGS"] == f"--xla_cpu_enable_fast_math=false {compiler.FLAG}"
    assert compiler.pairs_checked() == compiler.MANY
    compiler.check_many_pairs()
    assert os.environ["XLA_FLAGS"].count(compiler.FLAG) == 1


def test_flags_in_a_file_are_left(flags: pytest.MonkeyPatch) -> None:
    flags.setenv("XLA_FLAGS", "flags.txt")
    compiler.check_many_pairs()
    assert os.environ["XLA_FLAGS"] == "flags.txt" and compiler.pairs_checked() == compiler.FEW


def test_options_of_the_user_are_left(flags: pytest.MonkeyPatch) -> None:
    flags.setenv("XLA_FLAGS", "--xla_backend_extra_options=-unroll-threshold=100")
    compiler.check_many_pairs()
    assert os.environ["XLA_FLAGS"] == "--xla_backend_extra_options=-unroll-threshold=100"
    assert compiler.pairs_checked() == compiler.FEW


def test_an_option_that_llvm_does_not_know_is_not_set(flags: pytest.MonkeyPatch) -> None:
    flags.setattr(compiler, "CHECKS", "an-option-that-no-release-of-it-has")
    compiler.check_many_pairs()
    assert "XLA_FLAGS" not in os.environ


def test_nothing_is_set_where_a_plugin_may_bring_an_llvm_of_its_own(flags: pytest.MonkeyPatch) -> None:
    flags.delenv("JAX_PLATFORMS")
    flags.setattr(compiler.importlib.util, "find_spec", lambda name: object())
    compiler.check_many_pairs()
    assert "XLA_FLAGS" not in os.environ


def test_a_library_that_is_not_there_knows_nothing(flags: pytest.MonkeyPatch, tmp_path: Any) -> None:
    flags.setattr(compiler.jaxlib, "__file__", str(tmp_path / "__init__.py"))
    compiler.check_many_pairs()
    assert "XLA_FLAGS" not in os.environ


def test_once_jax_runs_it_is_too_late() -> None:
    jax.devices()
    before = jax.config.jax_num_cpu_devices
    assert not execute.split_cpu(7)
    assert jax.config.jax_num_cpu_devices == before
