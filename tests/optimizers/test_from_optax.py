"""optax's optimizers: found by introspection, run by optax's own code."""

from __future__ import annotations

import inspect
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdbench as gd
from gdbench.catalogue import gather
from gdbench.contracts import Optimizer
from gdbench.errors import SuiteError, UnknownNameError
from gdbench.optimizers import from_optax

CATALOGUE = gather("gdbench.optimizers", Optimizer)
NAMES = sorted(name.removeprefix("optax/") for name in CATALOGUE if name.startswith("optax/"))
NO_NUMBERS = ("dtype", "mask", "key", "seed", "linesearch")


def _parameters(name: str) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(getattr(optax, name)).parameters)


def test_every_optimizer_of_optax_is_there_or_said_to_need_more() -> None:
    from optax._src import alias

    public = {n for n in dir(optax) if getattr(alias, n, None) is getattr(optax, n) and callable(getattr(optax, n))}
    rated = {n for n in public if {"learning_rate", "max_learning_rate"} & set(_parameters(n))}
    assert len(rated) > 30
    assert rated - set(from_optax.NEEDS_MORE) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_hyperparameters_are_those_of_the_signature(name: str) -> None:
    real, found = _parameters(name), CATALOGUE[f"optax/{name}"].hyperparameters
    assert set(found) <= set(real)
    for parameter, spec in found.items():
        default = real[parameter].default
        if parameter in ("learning_rate", "weight_decay"):
            assert spec.default in (None, 0.0)
            continue
        assert (spec.default, type(spec.default)) == (default, type(default)), parameter
        assert spec.static == isinstance(default, (bool, int)) or default is None
    numbers = {n for n, p in real.items() if isinstance(p.default, (bool, int, float))}
    assert {n for n in numbers if not any(word in n for word in NO_NUMBERS)} <= set(found)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*optimistic_adam. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_lowers_a_quadratic(name: str, dtype: str) -> None:
    table = gd.sweep("quadratic", f"optax/{name}", learning_rate=[1e-3, 1e-2], steps=60, dtype=dtype).table
    assert (table["f_final"] < table["f_start"]).all()
    assert (table["g_evals"] == 60).all() and (table["steps"] == 60).all() and (table["f_evals"] == 0).all()
    assert table["f_final"].dtype == dtype and np.isfinite(table["grad_norm_final"]).all()


def test_what_needs_more_than_a_gradient_is_refused_with_the_reason() -> None:
    with pytest.raises(UnknownNameError, match="value function"):
        gd.sweep("parabola", "optax/lbfgs", learning_rate=0.1)


@pytest.mark.slow
def test_a_number_left_out_and_a_number_given_are_different_rules() -> None:
    options = {"learning_rate": 0.1, "x0": [[1.0, 0.0]], "steps": 20, "dtype": "float64"}
    with_none = gd.sweep("quadratic", "optax/sgd", **options).table
    given = gd.sweep("quadratic", "optax/sgd", momentum=[0.0, 0.5], **options).table
    assert with_none["f_final"].iloc[0] == pytest.approx(0.5 * 0.9**40, rel=1e-12)
    assert given["f_final"].iloc[0] == pytest.approx(0.5 * 0.9**40, rel=1e-12)
    assert given["f_final"].iloc[1] != pytest.approx(0.5 * 0.9**40, rel=1e-3)


def test_a_flag_cannot_be_an_axis() -> None:
    with pytest.raises(SuiteError, match="nesterov"):
        gd.sweep("quadratic", "optax/sgd", learning_rate=0.1, momentum=0.9, nesterov=[True, False])


def clipped(learning_rate: float, clip: float = 0.5, nesterov: bool = False, power: int = 1, mask: Any = None) -> Any:
    """A user's own: clipped gradients, then optax's gradient descent."""
    assert isinstance(nesterov, bool) and isinstance(power, int)
    return optax.chain(optax.clip(clip), optax.sgd(learning_rate * 2 ** (power - 1)))


def test_a_function_of_ones_own_has_its_numbers_as_axes() -> None:
    found = from_optax.from_callable(clipped).hyperparameters
    assert list(found) == ["learning_rate", "clip", "nesterov", "power"]
    assert {n for n, spec in found.items() if spec.static} == {"nesterov", "power"}
    options = {"x0": [3.0], "steps": 10, "dtype": "float64"}
    table = gd.sweep("parabola", clipped, learning_rate=0.1, clip=[0.5, 1.0], power=2, **options).table
    # The slope 2x is clipped all the way: x falls by 2 0.1 clip a step.
    np.testing.assert_allclose(table["end_0"], [3 - 10 * 0.1, 3 - 10 * 0.2])


def test_a_number_without_a_default_must_be_given() -> None:
    def bare(learning_rate: float, clip: float) -> Any:
        return optax.chain(optax.clip(clip), optax.sgd(learning_rate))

    with pytest.raises(SuiteError, match="clip"):
        gd.sweep("parabola", bare, learning_rate=0.1)


def test_a_finished_transformation_runs_and_takes_no_rate() -> None:
    row = gd.sweep("parabola", optax.sgd(0.1), x0=[2.0], steps=10, dtype="float64").table.iloc[0]
    assert row["end_0"] == pytest.approx(2 * 0.8**10, rel=1e-12)
    with pytest.raises(SuiteError, match="learning_rate"):
        gd.sweep("parabola", optax.sgd(0.1), learning_rate=0.1)


def test_a_constructor_of_optax_on_a_tree_of_parameters() -> None:
    def loss(p: dict[str, Any]) -> Any:
        return jnp.sum((p["weights"] - 1) ** 2) + (p["bias"] + 2) ** 2

    table = gd.sweep(
        loss, optax.adamw, x0={"weights": np.zeros((2, 2)), "bias": 0.0}, learning_rate=[0.1, 1e-9], steps=300,
        weight_decay=0.0, minimum=0.0,
    ).table  # fmt: skip
    assert table["f_start"].tolist() == [8.0, 8.0]
    assert table["outcome"].tolist() == ["converged", "unfinished"]
