"""The network whose boundary of trainability is fractal: its loss, its data, and its exact boundary in one layer."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import gdbench as gd
from gdbench.contracts import Problem
from gdbench.errors import SuiteError
from gdbench.problems.trainability import trainability

PHI = {
    "tanh": lambda z: np.tanh(np.sqrt(2) * z),
    "relu": lambda z: np.sqrt(2) * np.maximum(z, 0),
    "identity": lambda z: z,
}


def split(problem: Problem, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weights of the two layers, [n, n] and [1, n]."""
    width = problem.template[0].shape[0]
    return x[: width**2].reshape(width, width), x[width**2 :].reshape(1, width)


def by_hand(problem: Problem, activation: str, x: np.ndarray) -> float:
    """The loss, one datum at a time, as the publication writes it."""
    hidden, output = split(problem, x)
    width, losses = len(hidden), []
    for datum, label in zip(problem.data["inputs"].T, problem.data["labels"][0], strict=True):
        z = hidden @ datum / np.sqrt(width)
        losses.append((output[0] @ PHI[activation](z) / width - label) ** 2)
    return float(np.mean(losses))


@pytest.mark.parametrize("activation", PHI)
def test_the_loss_is_the_published_one(at, activation):
    problem = trainability(width=5, activation=activation, instance=3)
    points = np.stack([problem.start, np.random.default_rng(0).normal(size=problem.dim)])
    expected = [by_hand(problem, activation, x) for x in points]
    np.testing.assert_allclose(at(problem, points), expected, rtol=1e-13)
    assert problem.target == pytest.approx(expected[0], rel=1e-13)
    assert problem.goal == "target" and problem.target_origin


@pytest.mark.parametrize("activation", PHI)
def test_gradients_agree_with_differences(at, activation):
    problem = trainability(width=4, activation=activation)
    step = 1e-6 * np.eye(problem.dim)
    differences = (at(problem, problem.start + step) - at(problem, problem.start - step)) / 2e-6
    np.testing.assert_allclose(at(problem, problem.start[None], of=jax.grad)[0], differences, atol=1e-8)


def test_as_many_data_as_weights():
    problem = trainability()
    assert problem.dim == 272 == len(problem.start) == 16 * 16 + 16
    assert problem.data["inputs"].shape == (16, 272) and problem.data["labels"].shape == (1, 272)
    assert trainability(activation="identity").data["inputs"].shape == (16, 16)
    assert trainability(rows=1).data["labels"].shape == (1, 1)
    everything = np.concatenate([problem.start, *(array.ravel() for array in problem.data.values())])
    assert everything.mean() == pytest.approx(0, abs=0.06) and everything.std() == pytest.approx(1, abs=0.05)


def test_instances_differ_in_weights_and_data_and_are_drawn_again():
    first, again, other = trainability(), trainability(), trainability(instance=1)
    np.testing.assert_array_equal(first.start, again.start)
    np.testing.assert_array_equal(first.data["inputs"], again.data["inputs"])
    assert not np.isclose(first.start, other.start).any() and first.target != other.target
    assert first.objective is other.objective
    # The number of rows leaves the weights alone.
    np.testing.assert_array_equal(first.start, trainability(rows=1).start)


def test_the_first_layer_comes_first_in_the_flat_vector():
    problem = trainability(width=3)
    leaves = jax.tree.leaves(problem.template)
    assert [leaf.shape for leaf in leaves] == [(3, 3), (1, 3)]


def test_the_kink_of_the_relu_is_one(at):
    problem = trainability(width=3, activation="relu")
    assert trainability(width=3).kinks is None
    x, step = problem.kinks, 1e-4 * np.eye(problem.dim)
    slopes = (at(problem, x + step) - at(problem, x), at(problem, x) - at(problem, x - step))
    assert np.abs(slopes[0] - slopes[1]).max() > 1e-6
    assert np.isfinite(at(problem, x, of=jax.grad)).all()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"width": 0}, "width must be an integer from 1"),
        ({"activation": "sin"}, "'tanh', 'relu', 'identity'"),
        ({"rows": 0}, "rows must be an integer"),
        ({"instance": -1}, "instance must be an integer"),
    ],
)
def test_settings_are_checked(settings, told):
    with pytest.raises(SuiteError, match=told):
        trainability(**settings)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_rate_of_the_last_layer_alone_has_an_exact_boundary(activation):
    # With the first layer held still the loss is a quadratic in the second one: stable below 2/L.
    problem = trainability(width=6, activation=activation)
    hidden = split(problem, problem.start)[0]
    features = PHI[activation](hidden @ problem.data["inputs"] / np.sqrt(6)) / 6
    largest = np.linalg.eigvalsh(2 * features @ features.T / features.shape[1])[-1]
    rates = 2 / largest * np.array([0.5, 0.9, 0.97, 1.03, 1.1, 2.0])
    table = gd.sweep(
        problem, "layerwise_gd", learning_rate=0.0, learning_rate_1=rates, steps=1000, dtype="float64"
    ).table.sort_values("learning_rate_1")
    assert table["outcome"].astype(str).tolist() == ["converged"] * 3 + ["diverged"] * 3
    np.testing.assert_allclose(table["f_start"], problem.target, rtol=1e-12)
