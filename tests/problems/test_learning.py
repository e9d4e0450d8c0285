"""Data sets, splits and wrong labels; convex problems on them, against scikit-learn and plain NumPy."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy.special import rel_entr, softmax

import gdbench as gd
from gdbench.problems import datasets
from gdbench.problems.classification import TRAINED, logistic_regression, softmax_regression
from gdbench.problems.cross_entropy import NEAR, divergence
from gdbench.problems.factorisation import deep_linear
from gdbench.problems.networks import digits_autoencoder, digits_conv, digits_mlp
from gdbench.problems.regression import ridge_regression
from gdbench.problems.transformer import modular_addition

pytestmark = pytest.mark.slow

CLASSIFIERS = [logistic_regression, softmax_regression, digits_mlp, digits_conv, modular_addition]
every_classifier = pytest.mark.parametrize("family", CLASSIFIERS, ids=lambda f: f.name)


def points_of(problem, num: int) -> np.ndarray:
    return np.random.default_rng(3).uniform(*problem.box, (num, problem.dim))


def held_out_values(problem, points, flat, in_dtype) -> np.ndarray:
    """f on the held-out data, as the kernel computes it."""
    with in_dtype("float64"):
        f, _, parameters = flat(problem, "float64")
        unseen = jax.tree.map(lambda a: np.asarray(a, float), problem.held_out)
        return np.array([float(f(jax.numpy.asarray(x), unseen, parameters)) for x in points]) + problem.offset


# Data


def test_every_table_is_what_scikit_learn_has():
    shapes = {
        "diabetes": (442, 10),
        "digits": (1797, 64),
        "breast_cancer": (569, 30),
        "wine": (178, 13),
        "iris": (150, 4),
    }
    assert {name: datasets.table(name).columns.shape for name in datasets.SOURCES} == shapes
    for columns, answers in map(datasets.table, shapes):
        assert len(columns) == len(answers) and not columns.flags.writeable and not answers.flags.writeable


@pytest.mark.parametrize(("count", "held_out"), [(442, 88), (1797, 359), (150, 30)])
def test_a_fifth_is_held_out_and_the_parts_are_disjoint(count, held_out):
    train, unseen = datasets.split(count, 0)
    assert len(unseen) == held_out
    np.testing.assert_array_equal(np.sort(np.concatenate([train, unseen])), np.arange(count))
    np.testing.assert_array_equal(datasets.split.__wrapped__(count, 0).train, train)
    assert not np.array_equal(datasets.split(count, 1).held_out, unseen)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 1.0])
def test_the_share_of_wrong_labels_is_exact(share):
    classes = np.random.default_rng(0).integers(0, 7, 1000)
    given = datasets.mislabelled(classes, 7, share, 3)
    assert np.sum(given != classes) == round(1000 * share)
    assert set(given) <= set(range(7))
    np.testing.assert_array_equal(datasets.mislabelled(classes, 7, share, 3), given)
    if 0 < share < 1:
        assert not np.array_equal(datasets.mislabelled(classes, 7, share, 4), given)
    if share == 1:
        counts = np.bincount((given - classes) % 7, minlength=7)
        assert counts[0] == 0 and counts[1:].min() > 120  # by any of the others


def labels_of(problem, part: str) -> np.ndarray:
    return getattr(problem, part)["rows"]["labels"].argmax(axis=1)


@every_classifier
def test_wrong_labels_are_in_the_training_rows_only(family):
    clean, noisy, other = (family(batch=8, label_noise=s, instance=i) for s, i in ((0, 2), (0.3, 2), (0.3, 3)))
    true, given = labels_of(clean, "data"), labels_of(noisy, "data")
    assert np.sum(true != given) == round(0.3 * len(true))
    np.testing.assert_array_equal(labels_of(clean, "held_out"), labels_of(noisy, "held_out"))
    for name in set(clean.data["rows"]) - {"labels"}:
        np.testing.assert_array_equal(clean.data["rows"][name], noisy.data["rows"][name])
    assert not np.array_equal(labels_of(other, "data"), given)
    assert clean.objective is noisy.objective


@every_classifier
def test_no_row_is_both_trained_on_and_held_out(family):
    problem = family(batch=8)
    rows = problem.data["rows"]
    names = [name for name in rows if name != "labels"]
    keys = [
        {tuple(np.concatenate([part["rows"][n][i].ravel() for n in names])) for i in range(len(part["rows"]["labels"]))}
        for part in (problem.data, problem.held_out)
    ]
    assert not keys[0] & keys[1]


LEARNING = [*CLASSIFIERS, ridge_regression, deep_linear, digits_autoencoder]


@pytest.mark.parametrize("family", LEARNING, ids=lambda f: f.name)
def test_instances_have_arrays_of_one_shape_and_other_rows(family):
    first, *others = (family(instance=i) for i in range(4))
    shapes = jax.tree.map(np.shape, (first.data, first.held_out))
    for other in others:
        assert jax.tree.map(np.shape, (other.data, other.held_out)) == shapes and other.objective is first.objective
        same = jax.tree.map(np.array_equal, first.data, other.data)
        assert not jax.tree.all(same)


def test_the_entropy_of_noise_is_the_cross_entropy_of_one_who_knows_its_share():
    share, kinds, rng = 0.3, 10, np.random.default_rng(0)
    true = rng.integers(0, kinds, 10_000)
    odds = np.full((10_000, kinds), share / (kinds - 1))
    odds[np.arange(10_000), true] = 1 - share
    given = datasets.mislabelled(true, kinds, share, 0)
    expected = -np.log(odds[np.arange(10_000), given]).mean()
    assert datasets.entropy_of_noise(share, kinds) == pytest.approx(expected, rel=1e-12)
    assert datasets.entropy_of_noise(0.0, kinds) == 0 and datasets.entropy_of_noise(1.0, 3) == pytest.approx(np.log(2))


# Ridge regression


def ridge_by_rows(points: np.ndarray, l2: float, part: str) -> np.ndarray:
    rows = getattr(ridge_regression(batch=1), part)["rows"]
    errors = np.mean((points @ rows["design"].T - rows["target"]) ** 2, axis=1)
    return errors + l2 / 2 * np.sum(points[:, :-1] ** 2, axis=1)


@pytest.mark.parametrize("l2", [0.0, 0.1, 2.0])
def test_ridge_is_that_of_scikit_learn(l2, at):
    from sklearn.linear_model import Ridge

    problem, on_rows = ridge_regression(l2=l2), ridge_regression(l2=l2, batch=7)
    rows = on_rows.data["rows"]
    model = Ridge(alpha=len(rows["design"]) * l2 / 2, tol=1e-12).fit(rows["design"][:, :-1], rows["target"])
    expected = [*model.coef_, model.intercept_]
    np.testing.assert_allclose(problem.minimizers[0], expected, rtol=1e-9, atol=1e-11)
    assert (
        problem.minimum == on_rows.minimum == pytest.approx(ridge_by_rows(problem.minimizers, l2, "data")[0], rel=1e-13)
    )
    points = points_of(problem, 5)
    np.testing.assert_allclose(at(problem, points) + problem.offset, ridge_by_rows(points, l2, "data"), rtol=1e-12)
    np.testing.assert_allclose(at(on_rows, points), ridge_by_rows(points, l2, "data"), rtol=1e-12)
    gradients = at(problem, points, of=jax.grad)
    np.testing.assert_allclose(gradients, at(on_rows, points, of=jax.grad), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("batch", [0, 16])
def test_ridge_on_held_out_patients_leaves_the_penalty_out(batch, flat, in_dtype):
    problem = ridge_regression(l2=0.5, batch=batch)
    points = points_of(problem, 4)
    values = held_out_values(problem, points, flat, in_dtype)
    np.testing.assert_allclose(values, ridge_by_rows(points, 0.0, "held_out"), rtol=1e-12)


# Logistic and softmax regression


def matrix_of(problem, x: np.ndarray) -> np.ndarray:
    """Weights [columns, classes] of a point."""
    if problem.template is None:
        return np.column_stack([np.zeros_like(x), x])
    classes = len(problem.template["bias"])
    return np.vstack([x[classes:].reshape(-1, classes), x[:classes]])


def log_loss_of(family, points: np.ndarray, part: str, **settings) -> np.ndarray:
    from sklearn.metrics import log_loss

    problem = family(batch=1, **settings)
    rows = getattr(problem, part)["rows"]
    logits = [rows["design"] @ matrix_of(problem, x) for x in points]
    return np.array([log_loss(rows["labels"].argmax(axis=1), softmax(z, axis=1)) for z in logits])


CONVEX = [
    (logistic_regression, {}),
    (logistic_regression, {"l2": 0.5, "label_noise": 0.2, "instance": 1}),
    (softmax_regression, {}),
    (softmax_regression, {"dataset": "iris", "l2": 0.001}),
    (softmax_regression, {"label_noise": 0.4}),
]
every_convex = pytest.mark.parametrize(("family", "settings"), CONVEX, ids=lambda v: getattr(v, "name", str(v)))


@every_convex
def test_cross_entropy_is_that_of_scikit_learn_in_both_forms(family, settings, at, flat, in_dtype):
    problem, on_rows = family(**settings), family(batch=9, **settings)
    assert problem.offset == problem.minimum == on_rows.minimum and on_rows.offset == 0
    # Not far from the minimizer, for scikit-learn takes no odds below 2e-16.
    points = problem.minimizers + np.array([[0.3], [0.3], [0.3], [1e-3], [1e-3]]) * points_of(problem, 5)
    penalty = problem.settings["l2"] / 2 * np.sum(points**2, axis=1)
    expected = log_loss_of(family, points, "data", **settings) + penalty
    np.testing.assert_allclose(at(problem, points) + problem.offset, expected, rtol=1e-12)
    np.testing.assert_allclose(at(on_rows, points), expected, rtol=1e-12)
    slopes = at(problem, points, of=jax.grad)
    np.testing.assert_allclose(slopes, at(on_rows, points, of=jax.grad), rtol=1e-9, atol=1e-12)
    unseen = log_loss_of(family, points, "held_out", **settings)
    for form in (problem, on_rows):
        np.testing.assert_allclose(held_out_values(form, points, flat, in_dtype), unseen, rtol=1e-11)


@every_convex
def test_the_minimizer_is_that_of_scikit_learn(family, settings, at):
    from sklearn.linear_model import LogisticRegression

    problem = family(**settings)
    rows = family(batch=1, **settings).data["rows"]
    l2, count = problem.settings["l2"], len(rows["design"])
    model = LogisticRegression(C=1 / (count * l2), fit_intercept=False, solver="newton-cg", tol=1e-12, max_iter=10_000)
    model.fit(rows["design"], rows["labels"].argmax(axis=1))
    weights = matrix_of(problem, problem.minimizers[0])
    fitted = model.coef_[0] if family is logistic_regression else model.coef_.T
    np.testing.assert_allclose(weights[:, 1] if family is logistic_regression else weights, fitted, atol=2e-6)
    on_rows = family(batch=1, **settings)
    # The direct form is what is minimised; the gap is zero there by construction.
    assert np.abs(at(on_rows, problem.minimizers, of=jax.grad)).max() < 3e-15
    assert at(problem, problem.minimizers)[0] == 0


@every_convex
def test_the_gap_is_resolved_next_to_the_minimizer(family, settings, at):
    problem = family(**settings)
    direction = np.random.default_rng(5).standard_normal(problem.dim)
    hessian = at(problem, problem.minimizers, of=jax.hessian)[0]
    for size in (1e-6, 1e-9):
        gap = at(problem, problem.minimizers + size * direction)[0]
        assert gap == pytest.approx(0.5 * size**2 * direction @ hessian @ direction, rel=2e-6)


@every_convex
def test_curvature_lies_within_the_bounds_of_the_notes(family, settings, at):
    problem = family(**settings)
    low, high = (float(problem.notes.split(word)[1].split()[0]) for word in ("lie from", " to "))
    assert low == problem.settings["l2"]
    eigenvalues = np.linalg.eigvalsh(at(problem, np.vstack([points_of(problem, 6), problem.start]), of=jax.hessian))
    assert eigenvalues.min() > low * (1 - 1e-9) and eigenvalues.max() < high
    assert low * (1 - 1e-9) <= problem.curvature({})[0] <= problem.curvature({})[1] < high


@pytest.mark.parametrize("size", [1e-7, 0.5 * NEAR, 0.999 * NEAR, 1.5 * NEAR, 1.0, 50.0])
def test_divergence_is_that_of_scipy_in_both_branches(size, in_dtype):
    rng = np.random.default_rng(6)
    log_odds = np.log(rng.dirichlet(np.ones(5), 40))
    change = rng.uniform(-size / 2, size / 2, (40, 5))
    with in_dtype("float64"):
        found = np.asarray(divergence(log_odds, jax.numpy.asarray(change)))
        slope = jax.jacobian(lambda d: divergence(log_odds, d).sum())(jax.numpy.asarray(change))
    p, q = np.exp(log_odds), softmax(log_odds + change, axis=1)
    # SciPy's sum of terms loses the digits that cancel.
    np.testing.assert_allclose(found, rel_entr(p, q).sum(axis=1), rtol=1e-10, atol=4e-16)
    np.testing.assert_allclose(slope, q - p, rtol=1e-8, atol=1e-15)
    assert found.min() >= 0


def test_rows_of_the_softmax_data_sets():
    for dataset, count in TRAINED.items():
        assert len(softmax_regression(dataset=dataset).data["design"]) == count


def test_mini_batches_are_rows_and_unbiased(in_dtype):
    from gdbench.kernels.compiler import jit

    for problem in (ridge_regression(batch=32), logistic_regression(batch=32), softmax_regression(batch=32)):
        assert problem.batch_share == 32 / len(problem.data["rows"]["design"]) and problem.judge_every == 20
        drawn = {}
        for dtype in ("float32", "float64"):
            with in_dtype(dtype):
                drawn[dtype] = np.asarray(problem.sample(problem.data, jax.random.key(1))["rows"]["design"])
        np.testing.assert_array_equal(drawn["float64"].astype("float32"), drawn["float32"])
        x = np.random.default_rng(0).uniform(-1, 1, problem.dim)
        x = x if problem.template is None else {"weights": x[:39].reshape(13, 3), "bias": x[39:]}
        with in_dtype("float64"):
            full = float(problem(x))
            losses = jit(jax.vmap(lambda key, p=problem, x=x: p.objective(x, p.sample(p.data, key), {})))
            losses = np.asarray(losses(jax.random.split(jax.random.key(0), 400)))
        assert losses.std() > 0 and abs(losses.mean() - full) < 5 * losses.std() / 20


def test_a_mini_batch_of_all_rows_is_the_deterministic_problem():
    assert logistic_regression(batch=456).sample is None and not logistic_regression().stochastic


# In a sweep


def test_the_held_out_column_is_the_loss_of_the_end_point():
    problem, on_rows = ridge_regression(), ridge_regression(batch=1)
    rows, w = on_rows.data["rows"], np.zeros(11)
    for _ in range(30):
        slope = 2 * (rows["design"] @ w - rows["target"]) @ rows["design"] / len(rows["design"])
        w = w - 0.05 * (slope + 0.1 * np.append(w[:-1], 0.0))
    table = gd.sweep(problem, "gd", learning_rate=[0.05, 50.0], steps=30, dtype="float64").table
    assert table["f_held_out"][0] == pytest.approx(ridge_by_rows(w[None], 0.0, "held_out")[0], rel=1e-12)
    assert table["f_final"][0] == pytest.approx(ridge_by_rows(w[None], 0.1, "data")[0], rel=1e-12)
    assert table["outcome"][1] == "diverged" and np.isnan(table["f_held_out"][1])


@pytest.mark.usefixtures("compiled_for_users")  # it runs for longer than it compiles
@pytest.mark.slow
def test_gradient_descent_converges_to_the_minimum_that_is_stated():
    _, L = softmax_regression().curvature({})
    table = gd.sweep("softmax_regression", "nesterov", learning_rate=1 / L, steps=3000, dtype="float64").table
    assert table["outcome"][0] == "converged" and table["gap_final"][0] < 1e-20 and table["distance"][0] < 1e-9
