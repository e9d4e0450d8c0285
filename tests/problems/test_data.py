"""Problems on real data: what they say is what the data say."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from gdbench.kernels.compiler import jit
from gdbench.problems.classification import ROWS, TARGET, digits_softmax, images_and_labels
from gdbench.problems.regression import diabetes_regression, standardised


def test_diabetes_columns_are_standardised_and_the_target_is_not_centred():
    design, target = standardised()
    assert design.shape == (442, 11) and np.all(design[:, -1] == 1)
    np.testing.assert_allclose(design[:, :10].mean(axis=0), 0, atol=1e-13)
    np.testing.assert_allclose(design[:, :10].std(axis=0), 1, rtol=1e-12)
    assert target.std() == pytest.approx(1) and target.mean() == pytest.approx(1.9758, abs=1e-3)


def test_diabetes_solution_is_that_of_scikit_learn():
    from sklearn.linear_model import LinearRegression

    design, target = standardised()
    model = LinearRegression().fit(design[:, :10], target)
    problem = diabetes_regression()
    np.testing.assert_allclose(problem.minimizers, [[*model.coef_, model.intercept_]], rtol=1e-10, atol=1e-12)
    assert problem.minimum == pytest.approx(np.mean((model.predict(design[:, :10]) - target) ** 2), rel=1e-13)


def test_diabetes_value_is_the_mean_squared_error_on_the_data(at):
    design, target = standardised()
    problem = diabetes_regression()
    weights = np.random.default_rng(0).uniform(-3, 3, (5, 11))
    errors = np.mean((weights @ design.T - target) ** 2, axis=1)
    np.testing.assert_allclose(at(problem, weights) + problem.offset, errors, rtol=1e-12)
    gradients = 2 * (weights @ design.T - target) @ design / len(target)
    np.testing.assert_allclose(at(problem, weights, of=jax.grad), gradients, rtol=1e-10, atol=1e-11)


def test_diabetes_gap_is_resolved_next_to_the_solution(at):
    problem = diabetes_regression()
    step = 1e-9 * np.eye(11)[10]  # the intercept has curvature 2
    assert at(problem, problem.minimizers + step)[0] == pytest.approx(1e-18, rel=1e-5)


def softmax_loss(weights: np.ndarray, bias: np.ndarray) -> float:
    """The mean cross-entropy, by scikit-learn."""
    from sklearn.metrics import log_loss

    data = images_and_labels()
    logits = data["images"] @ weights + bias
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return log_loss(data["labels"].argmax(axis=1), odds / odds.sum(axis=1, keepdims=True))


def test_digits_loss_is_the_cross_entropy(in_dtype):
    problem, rng = digits_softmax(), np.random.default_rng(1)
    x = {"weights": rng.normal(0, 0.3, (64, 10)), "bias": rng.normal(0, 0.3, 10)}
    with in_dtype("float64"):
        assert float(problem(problem.template)) == pytest.approx(np.log(10))
        assert float(problem(x)) == pytest.approx(softmax_loss(x["weights"], x["bias"]), rel=1e-12)


def test_digits_target_is_the_loss_of_logistic_regression_at_its_defaults():
    from sklearn.linear_model import LogisticRegression

    data = images_and_labels()
    labels = data["labels"].argmax(axis=1)
    model = LogisticRegression(max_iter=1000).fit(data["images"], labels)
    loss = softmax_loss(model.coef_.T, model.intercept_)
    assert TARGET - 0.001 < loss < TARGET and round(model.score(data["images"], labels), 3) == 0.985


def test_a_mini_batch_is_rows_of_the_data_and_the_same_in_both_dtypes(in_dtype):
    problem = digits_softmax(batch=5)
    assert (problem.batch_share, problem.judge_every, problem.goal) == (5 / ROWS, 20, "target")
    drawn = {}
    for dtype in ("float32", "float64"):
        with in_dtype(dtype):
            batch = problem.sample(problem.data, jax.random.key(3))
            drawn[dtype] = np.asarray(batch["images"], np.float32)
            assert batch["images"].shape == (5, 64) and batch["labels"].shape == (5, 10)
    np.testing.assert_array_equal(drawn["float32"], drawn["float64"])
    images, labels = problem.data["images"], problem.data["labels"]
    for image, label in zip(drawn["float64"], np.asarray(batch["labels"]), strict=True):
        (row,) = np.flatnonzero((images == image).all(axis=1))
        np.testing.assert_array_equal(labels[row], label)


def test_mini_batches_are_unbiased(in_dtype):
    problem = digits_softmax(batch=64)
    x = {"weights": np.random.default_rng(2).normal(0, 1, (64, 10)), "bias": np.zeros(10)}
    with in_dtype("float64"):
        full = float(problem(x))
        loss = jit(jax.vmap(lambda key: problem.objective(x, problem.sample(problem.data, key), {})))
        losses = np.asarray(loss(jax.random.split(jax.random.key(0), 300)))
    assert losses.std() > 0
    assert abs(losses.mean() - full) < 5 * losses.std() / np.sqrt(300)


def test_all_rows_at_once_is_deterministic():
    problem = digits_softmax(batch=ROWS)
    assert not problem.stochastic and problem.batch_share == 1 and problem.label == "digits_softmax(batch=1797)"
