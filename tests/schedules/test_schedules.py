"""Schedules: their factors against closed forms and optax, and optimizers under them against loops by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdbench as gd
from gdbench.catalogue import gather
from gdbench.choices import every_optimizer
from gdbench.contracts import Hyperparameter, Optimizer, Schedule, Step
from gdbench.errors import CellError, SuiteError, UnknownNameError
from gdbench.optimizers.rules import host_method
from gdbench.plan import PATH_POINTS, log_steps
from gdbench.schedules.base import scheduled
from gdbench.suite import build_suite

CATALOGUE = gather("gdbench.schedules", Schedule)
K = 101


def factors(name: str, steps: int = K, dtype: Any = np.float64, **numbers: float) -> np.ndarray:
    """The factor at every step of a budget."""
    schedule = CATALOGUE[name]
    values = {n: spec.default for n, spec in schedule.hyperparameters.items()} | numbers
    with jax.enable_x64(dtype == np.float64):
        h = SimpleNamespace(
            learning_rate=jnp.asarray(2.0, dtype), **{n: jnp.asarray(v, dtype) for n, v in values.items()}
        )
        found = [schedule.factor(jnp.int32(k), steps, h) for k in range(steps)]
        assert all(f.shape == () and f.dtype == dtype for f in found)
        return np.array(found)


def of_optax(schedule: Any, steps: int = K) -> np.ndarray:
    with jax.enable_x64(True):
        return np.array([float(schedule(jnp.int32(k))) for k in range(steps)])


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_schedule_says_what_it_is(name: str) -> None:
    schedule = CATALOGUE[name]
    assert schedule.formula and "\n" not in schedule.formula
    assert schedule.source or name == "constant"
    assert all(spec.origin and isinstance(spec.default, float) for spec in schedule.hyperparameters.values())
    assert "learning_rate" not in schedule.hyperparameters


@pytest.mark.parametrize("steps", [1, 2, 7, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_factors_lie_between_nothing_and_one(name: str, dtype: Any, steps: int) -> None:
    some = factors(name, min(steps, 20), dtype) if steps < 1000 else factors(name, 50, dtype)
    assert np.isfinite(some).all() and (some >= 0).all() and (some <= 1).all()


ENDS = {
    # At the first step, in the middle of 101, at the last.
    "constant": ({}, 1.0, 1.0, 1.0),
    "warm_up": ({"warmup": 0.5}, 1 / 50.5, 1.0, 1.0),
    "cosine": ({"final": 0.1}, 1.0, 0.55, 0.1),
    "linear": ({"final": 0.2}, 1.0, 0.6, 0.2),
    "exponential": ({"final": 0.01}, 1.0, 0.1, 0.01),
    "step": ({"drop": 0.5, "every": 0.3}, 1.0, 0.5, 0.125),
    "inverse_sqrt": ({"timescale": 50.0}, 1.0, 2**-0.5, 3**-0.5),
}


def test_first_middle_and_last_factor() -> None:
    assert set(ENDS) == set(CATALOGUE), "a schedule without its three numbers"
    for name, (numbers, *wanted) in ENDS.items():
        found = factors(name, **numbers)[[0, 50, 100]]
        np.testing.assert_allclose(found, wanted, rtol=1e-12, err_msg=name)


SAME = {
    "cosine": ({"final": 0.1}, optax.cosine_decay_schedule(1.0, K - 1, alpha=0.1)),
    "linear": ({"final": 0.1}, optax.linear_schedule(1.0, 0.1, K - 1)),
    "exponential": ({"final": 0.02}, optax.exponential_decay(1.0, K - 1, 0.02)),
    "warm_up": ({"warmup": 10 / K}, optax.linear_schedule(0.1, 1.0, 9)),
    "step": ({"drop": 0.3, "every": 20 / K}, optax.exponential_decay(1.0, 20, 0.3, staircase=True)),
}


@pytest.mark.parametrize("name", SAME)
def test_what_optax_has_is_the_same(name: str) -> None:
    numbers, theirs = SAME[name]
    # All but the cosine divide the step in single precision there.
    rtol = 1e-12 if name == "cosine" else 1e-6
    np.testing.assert_allclose(factors(name, **numbers), of_optax(theirs), rtol=rtol)


@pytest.mark.parametrize("name", ["cosine", "linear", "inverse_sqrt"])
def test_a_warm_up_multiplies_what_follows(name: str) -> None:
    ramp = np.minimum(1, np.arange(1, K + 1) / (0.25 * K))
    np.testing.assert_allclose(factors(name, warmup=0.25), factors(name) * ramp, rtol=1e-12)
    assert factors(name)[0] == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_drops_come_at_their_steps_in_spite_of_rounding(dtype: Any) -> None:
    # 0.1 of 30 is 3.0000000000000004 steps in double precision.
    for every, steps in ((0.1, 30), (1 / 3, 90), (0.7, 10), (0.35, 10)):
        length = round(every * steps * 1e9) / 1e9
        wanted = 0.5 ** np.floor(np.arange(steps) / length)
        np.testing.assert_allclose(factors("step", steps, dtype, drop=0.5, every=every), wanted, rtol=1e-6)


def test_one_step_is_no_division_by_zero() -> None:
    assert all(np.isfinite(factors(name, 1, **{})).all() for name in CATALOGUE)
    assert factors("step", 3, every=0.0).tolist() == [1.0, 0.1, pytest.approx(0.01)]
    assert factors("warm_up", 3, warmup=0.0).tolist() == [1, 1, 1]
    assert factors("exponential", 3, final=0.0).tolist() == [1, 0, 0]


# Optimizers under a schedule


def by_hand(transformation: Any, function: Any, x: Any, steps: int) -> np.ndarray:
    """The iterates of a transformation of optax."""
    with jax.enable_x64(True):
        x = jnp.asarray(x, jnp.float64)
        state, path = transformation.init(x), [x]

        @jax.jit
        def step(x: Any, state: Any) -> Any:
            updates, state = transformation.update(jax.grad(function)(x), state, x)
            return optax.apply_updates(x, updates), state

        for _ in range(steps):
            x, state = step(x, state)
            path.append(x)
        return np.asarray(path)


@pytest.mark.slow
@pytest.mark.parametrize("rule, theirs", [("adam", optax.adam), ("optax/adagrad", optax.adagrad)])
def test_an_optimizer_under_a_schedule_is_optax_under_its_own(rule: str, theirs: Any) -> None:
    rates, finals, steps, start = [0.003, 0.03], [0.0, 0.2], 60, [-1.2, 1.0]
    table = gd.sweep(
        "rosenbrock", rule, schedule="cosine", learning_rate=rates, final=finals, x0=start, steps=steps, paths=99,
        dtype="float64",
    ).table  # fmt: skip
    assert list(zip(table["learning_rate"], table["final"], strict=True)) == [(r, f) for r in rates for f in finals]
    recorded = list(log_steps(steps, PATH_POINTS))
    for _, row in table.iterrows():
        decay = optax.cosine_decay_schedule(row["learning_rate"], steps - 1, alpha=row["final"])
        path = by_hand(theirs(decay), gd.problem("rosenbrock"), start, steps)
        assert np.abs(path[-1] - start).max() > 1e-2
        np.testing.assert_allclose(np.reshape(row["path"], (-1, 2)), path[recorded], rtol=1e-12, atol=1e-12)
    assert table["f_final"].nunique() == 4


def test_every_rate_is_scheduled() -> None:
    told = []

    def step(oracle: Any, x: Any, state: Any, h: Any, k: Any) -> Step:
        told.append(h)
        return Step(x, state)

    number = Hyperparameter(None, "here", optional=True)
    names = ("learning_rate", "learning_rate_1", "learning_rate_2", "max_learning_rate", "other")
    rule = Optimizer("r", lambda oracle, x, h: told.append(h), step, dict.fromkeys(names, number))
    h = SimpleNamespace(**dict.fromkeys(names, jnp.float32(2)), final=jnp.float32(0.5), warmup=jnp.float32(0))
    h.learning_rate_2 = None
    under = scheduled(rule, CATALOGUE["linear"])
    assert set(under.hyperparameters) == {*names, "schedule", "final", "warmup"}
    oracle: Any = SimpleNamespace(steps=3)
    under.init(oracle, None, h)
    for k in range(3):
        under.step(oracle, None, (), h, jnp.int32(k))
    assert [float(seen.learning_rate) for seen in told] == [2, 2, 1.5, 1]
    assert [float(seen.learning_rate_1) for seen in told] == [2, 2, 1.5, 1]
    assert {seen.learning_rate_2 for seen in told} == {None}
    assert {float(seen.other) for seen in told} | {float(seen.max_learning_rate) for seen in told} == {2}
    assert float(h.learning_rate) == 2 and under.theory is None
    h.learning_rate = None
    with pytest.raises(SuiteError, match="r needs a learning rate that the schedule could change"):
        under.step(oracle, None, (), h, jnp.int32(0))


def test_what_a_schedule_cannot_change_is_refused() -> None:
    with pytest.raises(SuiteError, match="^trial_and_error has no learning rate that a schedule could change$"):
        gd.sweep("parabola", "trial_and_error", schedule="cosine")
    outside = host_method(
        "outside", lambda oracle, x, h: None, hyperparameters={"learning_rate": Hyperparameter(0.1, "")}
    )
    with pytest.raises(SuiteError, match="^outside has no learning rate that a schedule could change"):
        gd.sweep("parabola", outside, schedule="cosine", learning_rate=0.1)
    own = gd.optimizer(lambda x: (), lambda oracle, x, state, learning_rate, final=0.5: (x, state), "own")
    with pytest.raises(SuiteError, match="^own and the schedule 'cosine' both have 'final'$"):
        gd.sweep("parabola", own, schedule="cosine", learning_rate=0.1)
    with pytest.raises(UnknownNameError, match="unknown schedule 'cosin': did you mean 'cosine'?"):
        gd.sweep("parabola", "gd", schedule="cosin", learning_rate=0.1)
    with pytest.raises(SuiteError, match="a schedule is a name, got 3"):
        gd.sweep("parabola", "gd", schedule=3, learning_rate=0.1)
    # The numbers of a schedule are not those of an optimizer without it.
    with pytest.raises(SuiteError, match="neither gd nor parabola has 'final'"):
        gd.sweep("parabola", "gd", schedule="constant", final=0.5, learning_rate=0.1)


def suite(**entry: Any) -> Any:
    experiment = {"problems": ["parabola"], "optimizers": [{"name": "gd", **entry}], "steps": 9, "learning_rate": 0.1}
    return build_suite({"suite": {"name": "s"}, "experiment": [experiment]})


def test_a_list_of_schedules_is_an_entry_each() -> None:
    optimizers = suite(schedule=["constant", "cosine", "step"]).trials[0].optimizers
    assert [c.label for c in optimizers] == ["gd", "gd(schedule=cosine)", "gd(schedule=step)"]
    assert [c.static.get("schedule") for c in optimizers] == [None, "cosine", "step"]
    assert optimizers[0].optimizer is gather("gdbench.optimizers", Optimizer)["gd"]
    with_numbers = suite(schedule="cosine", final=[0.0, 0.1], warmup=0.2).trials[0].optimizers[0]
    assert with_numbers.label == "gd(schedule=cosine, warmup=0.2)" and len(with_numbers.axes["final"]) == 2
    assert every_optimizer({"name": "own:thing", "schedule": ["constant", "linear"]}) == [
        {"name": "own:thing", "schedule": "constant"}, {"name": "own:thing", "schedule": "linear"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "entry, told",
    [
        ({"schedule": []}, r"a schedule is a name, got \[\]"),
        ({"schedule": ["cosine", "cosine"]}, "'gd\\(schedule=cosine\\)' stands there twice"),
        ({"schedule": ["constant", "sine"]}, "unknown schedule 'sine': did you mean 'cosine'"),
        ({"schedule": "cosine", "every": 0.5}, "gd has no hyperparameter 'every'"),
        ({"schedule": 2}, "a schedule is a name, got 2"),
    ],
)
def test_faults_of_a_schedule_in_a_suite(entry: dict[str, Any], told: str) -> None:
    with pytest.raises(SuiteError, match=told):
        suite(**entry)


@pytest.mark.slow
def test_a_rate_that_is_left_out_cannot_be_scheduled() -> None:
    own = gd.optimizer(lambda x: (), lambda oracle, x, state, learning_rate=None: (x, state), "own")
    with pytest.raises(CellError, match="own needs a learning rate that the schedule could change"):
        gd.sweep("parabola", own, schedule="cosine", steps=3)
