"""The noisy quadratic: its noise, and the stationary variance that theory knows."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import gdbench as gd
from gdbench.catalogue import gather
from gdbench.problems.noisy_quadratic import noisy_quadratic
from gdbench.theory.forms import ClosedForm

FORMS = gather("gdbench.theory", ClosedForm)


def test_without_noise_it_is_the_quadratic(at):
    points = np.random.default_rng(0).uniform(-5, 5, (8, 3))
    for spectrum in ("log", "clusters"):
        plain = gd.problem("quadratic", dim=3, spectrum=spectrum, condition=40.0)
        noisy = noisy_quadratic(dim=3, spectrum=spectrum, condition=40.0, noise=7.0)
        np.testing.assert_allclose(at(noisy, points), at(plain, points), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_noise_on_the_gradient_is_normal_and_of_the_stated_size(dtype, flat, in_dtype):
    problem = noisy_quadratic(dim=4, noise=0.3)
    point = np.array([1.0, -2.0, 0.5, 0.0])
    with in_dtype(dtype):
        f, data, parameters = flat(problem, dtype)
        exact = np.asarray(jax.grad(f)(point.astype(dtype), data, parameters))
        noisy = jax.jit(jax.vmap(lambda key: jax.grad(f)(point.astype(dtype), problem.sample(data, key), parameters)))
        gradients = noisy(jax.random.split(jax.random.key(0), 20_000))
        assert gradients.dtype == dtype
        noise = np.asarray(gradients, dtype=float) - exact
    assert np.abs(noise.mean(axis=0)).max() < 5 * 0.3 / np.sqrt(20_000)
    np.testing.assert_allclose(np.cov(noise.T), 0.09 * np.eye(4), atol=0.004)
    assert np.mean(noise**4) == pytest.approx(3 * 0.3**4, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "form", "momenta"),
    [("gd", "gradient_descent", [0.0]), ("momentum", "heavy_ball", [0.5, 0.9]), ("nesterov", "nesterov", [0.5, 0.9])],
)
def test_iterates_reach_the_stationary_variance(optimizer, form, momenta):
    condition, noise, seeds = 10.0, 0.5, 16_384
    axes = {"momentum": momenta} if optimizer != "gd" else {}
    problem = noisy_quadratic(dim=2, condition=condition, noise=noise)
    swept = gd.sweep(
        problem, optimizer, learning_rate=[0.02, 0.05, 0.11], steps=300, seeds=seeds, x0=[0.1, -0.1], **axes
    )
    table = swept.table.assign(**({"momentum": 0.0} if optimizer == "gd" else {}))
    groups = table.groupby(["learning_rate", "momentum"])
    assert len(groups) == 3 * len(momenta)
    for (rate, momentum), rows in groups:
        assert len(rows) == seeds and not set(rows["outcome"]) & {"diverged", "nonfinite", "converged"}
        for column, curvature in (("end_0", 1.0), ("end_1", condition)):
            measured = np.mean(np.square(rows[column], dtype=float))
            exact = float(FORMS[form].stationary_variance(rate, momentum, curvature, noise))
            assert measured == pytest.approx(exact, rel=0.04), (rate, momentum, curvature)
