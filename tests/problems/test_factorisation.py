"""Products of matrices on real data: their loss, their minimum in closed form, and their saddle."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from gdbench.problems import datasets
from gdbench.problems.factorisation import balanced_factors, deep_linear, matrix_factorisation, reduced_rank, truncated
from gdbench.problems.layers import flattened

pytestmark = pytest.mark.slow


def points_of(problem, num: int) -> np.ndarray:
    return np.random.default_rng(3).uniform(*problem.box, (num, problem.dim))


def held_out_values(problem, points, flat, in_dtype) -> np.ndarray:
    """f on the held-out data, as the kernel computes it."""
    with in_dtype("float64"):
        f, _, parameters = flat(problem, "float64")
        unseen = jax.tree.map(lambda a: np.asarray(a, float), problem.held_out)
        return np.array([float(f(jax.numpy.asarray(x), unseen, parameters)) for x in points]) + problem.offset


def test_factorisation_is_half_the_squared_distance(at):
    problem = matrix_factorisation(rank=3)
    images = datasets.table("digits").columns[:100]
    images = images / np.linalg.norm(images)
    points = points_of(problem, 4)
    expected = [0.5 * np.sum((images - x[:300].reshape(100, 3) @ x[300:].reshape(3, 64)) ** 2) for x in points]
    np.testing.assert_allclose(at(problem, points) + problem.offset, expected, rtol=1e-12)
    assert problem.minimum == pytest.approx(0.5 * np.sum(np.linalg.svd(images)[1][3:] ** 2), rel=1e-12)


def mixed(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Another pair with the same product."""
    g = np.random.default_rng(0).standard_normal((a.shape[1], a.shape[1]))
    return a @ g, np.linalg.solve(g, b)


@pytest.mark.parametrize("rank", [1, 4, 64])
def test_balanced_factors_are_a_minimizer_and_the_gap_is_resolved_there(rank, at):
    problem = matrix_factorisation(rank=rank)
    images = datasets.table("digits").columns[:100]
    left, right = balanced_factors(truncated(images / np.linalg.norm(images), rank), 2)
    for pair in ((left, right), mixed(left, right)):
        x = flattened({"left": pair[0], "right": pair[1]})[None]
        assert abs(at(problem, x)[0]) < 1e-26 and np.abs(at(problem, x, of=jax.grad)).max() < 1e-13
    x = flattened({"left": left, "right": right})
    step = np.random.default_rng(1).standard_normal(problem.dim)
    gaps = at(problem, np.stack([x + size * step for size in (1e-4, 1e-8)]))
    assert 0 < gaps[1] == pytest.approx(1e-8 * gaps[0], rel=1e-2)


def test_the_origin_is_a_saddle(at):
    problem = matrix_factorisation(rank=1)
    origin = np.zeros((1, problem.dim))
    assert np.all(at(problem, origin, of=jax.grad) == 0)
    images = datasets.table("digits").columns[:100]
    largest = np.linalg.svd(images / np.linalg.norm(images))[1][0]
    eigenvalues = np.linalg.eigvalsh(at(problem, origin, of=jax.hessian)[0])
    assert (eigenvalues[0], eigenvalues[-1]) == pytest.approx((-largest, largest), rel=1e-10)


def centred_digits(part: str, instance: int = 0) -> tuple[np.ndarray, np.ndarray]:
    images, classes = datasets.table("digits")
    train, held_out = datasets.split(1797, instance)
    labels, rows = np.eye(10)[classes], train if part == "data" else held_out
    return images[rows] - images[train].mean(axis=0), labels[rows] - labels[train].mean(axis=0)


def product_of(problem, x: np.ndarray) -> np.ndarray:
    layers, at = [], 0
    for name in sorted(problem.template):
        shape = problem.template[name].shape
        layers.append(x[at : at + np.prod(shape)].reshape(shape))
        at += np.prod(shape)
    return np.linalg.multi_dot(layers)


@pytest.mark.parametrize(("depth", "width"), [(2, 3), (3, 4), (5, 2), (3, 12)])
def test_deep_linear_is_half_the_mean_squared_error(depth, width, at, flat, in_dtype):
    problem = deep_linear(depth=depth, width=width)
    points = points_of(problem, 3)
    for part in ("data", "held_out"):
        a, y = centred_digits(part)
        expected = [0.5 * np.sum((y - a @ product_of(problem, x)) ** 2) / len(a) for x in points]
        found = at(problem, points) + problem.offset
        found = found if part == "data" else held_out_values(problem, points, flat, in_dtype)
        np.testing.assert_allclose(found, expected, rtol=1e-11)


@pytest.mark.parametrize("width", [1, 4, 10])
def test_the_minimum_of_deep_linear_is_the_reduced_rank_regression(width):
    from sklearn.linear_model import LinearRegression

    a, y = centred_digits("data")
    fitted = LinearRegression().fit(a, y).predict(a)
    values = np.linalg.svd(fitted, compute_uv=False)
    least = (np.sum((y - fitted) ** 2) + np.sum(values[width:] ** 2)) / (2 * len(a))
    assert deep_linear(width=width).minimum == pytest.approx(least, rel=1e-10)


@pytest.mark.parametrize(("depth", "width"), [(2, 4), (3, 4), (4, 12)])
def test_a_deep_linear_network_attains_its_minimum(depth, width, at):
    problem, cut = deep_linear(depth=depth, width=width), reduced_rank(width, 0)["cut"]
    layers = balanced_factors(cut, depth)
    layers[0] = np.linalg.pinv(problem.data["root"]) @ layers[0]
    sizes = [problem.template[f"layer_{i}"].shape for i in range(depth)]
    padded = {
        f"layer_{i}": np.pad(layer, [(0, n - m) for n, m in zip(size, layer.shape, strict=True)])
        for i, (layer, size) in enumerate(zip(layers, sizes, strict=True))
    }
    x = flattened(padded)[None]
    assert abs(at(problem, x)[0]) < 1e-24 and np.abs(at(problem, x, of=jax.grad)).max() < 1e-12
