"""Every closed form against the update rule it describes: boundary, rate, trajectory and best hyperparameters."""

from __future__ import annotations

import numpy as np
import pytest

from gdbench.catalogue import gather
from gdbench.theory import (
    ema_momentum,
    gradient_descent,
    heavy_ball,
    nesterov,
    newton,
    quasi_hyperbolic,
    steepest_descent,
    weight_decay,
)
from gdbench.theory.forms import ClosedForm, gap

FORMS = gather("gdbench.theory", ClosedForm)
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))


NO_MOMENTUM = ("gradient_descent", "newton", "weight_decay")
FURTHER = {"nu": (0.0, 1.0), "damping": (0.0, 3.0), "weight_decay": (0.0, 3.0)}
"""Ranges of the hyperparameters beside learning rate and momentum."""


def momentum_of(form: ClosedForm, rng: np.random.Generator, size=None):
    """Random momentum, 0 for a method that has none."""
    return rng.uniform(0, 0.99, size) * (form.name not in NO_MOMENTUM)


def further_of(form: ClosedForm, rng: np.random.Generator, size=None):
    """Random values of what it depends on beside; the ends of their ranges, where they are other methods, often."""
    return {name: np.clip(rng.uniform(-0.3, 1.3, size), 0, 1) * FURTHER[name][1] for name in form.further}


def test_the_folder_is_the_registry():
    assert sorted(FORMS) == [
        "ema_momentum", "gradient_descent", "heavy_ball", "nesterov", "newton", "quasi_hyperbolic", "weight_decay",
    ]  # fmt: skip


@every_form
def test_rate_is_that_of_the_iteration_matrix(form, reference):
    rng = np.random.default_rng(1)
    for _ in range(300):
        alpha, eigenvalue, beta = 10 ** rng.uniform(-3, 1), 10 ** rng.uniform(-2, 1), momentum_of(form, rng)
        more = further_of(form, rng)
        expected = reference.radius(form.name, alpha, eigenvalue, beta, **more)
        # A double root moves by the square root of a rounding error, in numpy's eigenvalues as well.
        assert 10 ** (form.rate(alpha, [eigenvalue], beta, **more) / 2) == pytest.approx(expected, rel=1e-12, abs=1e-7)


@every_form
def test_stable_exactly_below_the_boundary(form, reference):
    rng = np.random.default_rng(2)
    for _ in range(300):
        L, beta, more = 10 ** rng.uniform(-2, 3), momentum_of(form, rng), further_of(form, rng)
        edge = form.boundary(L, beta, **more)
        m = L * rng.uniform(1e-3, 1)
        for share in (rng.uniform(0.01, 1), 1 - 1e-6):
            assert all(reference.radius(form.name, share * edge, lam, beta, **more) < 1 for lam in (m, L))
        for share in (1 + 1e-6, rng.uniform(1, 10)):
            assert reference.radius(form.name, share * edge, L, beta, **more) > 1
        assert form.rate(edge, [m, L], beta, **more) == pytest.approx(0, abs=1e-9)


@every_form
def test_the_worst_eigenvalue_is_an_end_of_the_spectrum(form, reference):
    rng = np.random.default_rng(3)
    for _ in range(20):
        m = 10 ** rng.uniform(-2, 0)
        spectrum = np.linspace(m, m * 10 ** rng.uniform(0, 3), 200)
        beta, more = momentum_of(form, rng), further_of(form, rng)
        alpha = form.boundary(spectrum[-1]) * rng.uniform(0.01, 2)
        dense = max(reference.radius(form.name, alpha, eigenvalue, beta, **more) for eigenvalue in spectrum)
        ends = form.rate(alpha, spectrum[[0, -1]], beta, **more)
        assert 10 ** (ends / 2) == pytest.approx(dense, abs=1e-7)
        assert form.rate(alpha, spectrum, beta, **more) == pytest.approx(ends, abs=1e-12)


@every_form
def test_rate_broadcasts_over_both_axes_of_a_map(form):
    rng = np.random.default_rng(4)
    alphas, betas, spectra = rng.uniform(0.01, 1, 5), momentum_of(form, rng, (3, 1)), rng.uniform(1, 9, (3, 1, 2))
    more = further_of(form, rng, (3, 1))
    field = form.rate(alphas, spectra, betas, **more)
    assert field.shape == (3, 5)
    one_by_one = [
        [float(form.rate(a, spectra[i, 0], betas[i, 0], **{n: v[i, 0] for n, v in more.items()})) for a in alphas]
        for i in range(3)
    ]
    np.testing.assert_allclose(field, one_by_one, rtol=1e-13)


@every_form
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97, 1.05])
def test_trajectory_is_the_simulated_recurrence(form, share, reference):
    rng = np.random.default_rng(5)
    for steps in (0, 1, 2, 3, 200):
        eigenvalues, x0, beta = 10 ** rng.uniform(-1, 2, 6), rng.uniform(-5, 5, 6), momentum_of(form, rng)
        more = further_of(form, rng)
        alpha = float(share * form.boundary(eigenvalues.max(), beta, **more))
        closed = form.trajectory(x0, eigenvalues, alpha, beta, steps, **more)
        simulated = reference.simulate(form.name, x0, eigenvalues, alpha, beta, steps, **more)
        assert closed.shape == (steps + 1, 6)
        # Rounding is relative to the largest value a coordinate had: a swing passes through zero.
        scale = np.maximum.accumulate(np.abs(simulated), axis=0)
        assert np.max(np.abs(closed - simulated) / scale) < 1e-12
        gaps = 0.5 * np.sum(eigenvalues * simulated**2, axis=1)
        np.testing.assert_allclose(form.gap(x0, eigenvalues, alpha, beta, steps, **more), gaps, rtol=1e-11)


@every_form
def test_gap_falls_at_the_rate_in_the_long_run(form):
    beta = 0.8 * (form.name not in NO_MOMENTUM)
    more = {"nu": 0.7, "damping": 0.5, "weight_decay": 0.5}
    more = {name: more[name] for name in form.further}
    for share, late in ((0.01, 3000), (1.02, 300)):  # real roots at both, so that the gap has no beat
        alpha = float(share * form.boundary(10.0, beta, **more))
        gaps = form.gap([1.0, 1.0], [1.0, 10.0], alpha, beta, late + 100, **more)
        measured = (np.log10(gaps[late + 100]) - np.log10(gaps[late])) / 100
        assert measured == pytest.approx(float(form.rate(alpha, [1.0, 10.0], beta, **more)), rel=1e-9)


@pytest.mark.parametrize("form", [f for f in FORMS.values() if f.best], ids=lambda form: form.name)
@pytest.mark.parametrize("condition", [1.0, 4.0, 100.0, 1e4])
def test_best_is_attained_and_nothing_near_is_better(form, condition):
    m, rng = 0.5, np.random.default_rng(6)
    more = further_of(form, rng)
    best = form.best(m, m * condition, **more)
    ends = [m, m * condition]
    assert 10 ** (form.rate(best.alpha, ends, best.momentum, **more) / 2) == pytest.approx(best.radius, abs=3e-8)
    alphas = best.alpha * np.exp(rng.normal(0, 0.2, 4000))
    betas = best.momentum * np.exp(-np.abs(rng.normal(0, 0.2, 4000)) * rng.choice([-1, 1], 4000))
    betas = np.where(betas < 1, betas, best.momentum)
    assert np.min(10 ** (form.rate(alphas, ends, betas, **more) / 2)) >= best.radius - 1e-12


@every_form
def test_stationary_variance_is_that_of_the_recurrence(form, reference):
    rng = np.random.default_rng(9)
    for _ in range(200):
        curvature, noise, beta = 10 ** rng.uniform(-2, 2), 10 ** rng.uniform(-2, 1), momentum_of(form, rng)
        more = further_of(form, rng)
        alpha = float(rng.uniform(0.01, 0.99) * form.boundary(curvature, beta, **more))
        expected = reference.stationary_variance(form.name, alpha, beta, curvature, noise, **more)
        found = form.stationary_variance(alpha, beta, curvature, noise, **more)
        assert found == pytest.approx(expected, rel=1e-8)


def test_stationary_variance_of_nesterov_before_extrapolation(reference):
    rng = np.random.default_rng(10)
    for _ in range(200):
        alpha, curvature, beta = rng.uniform(0.01, 0.6), rng.uniform(0.01, 2), rng.uniform(0, 0.99)
        of = (1.0, alpha * beta)  # the extrapolated point is x, the one before it x + alpha beta m
        expected = reference.stationary_variance("nesterov", alpha, beta, curvature, 0.7, of=of)
        variance = nesterov.stationary_variance_before_extrapolation(alpha, beta, curvature, 0.7)
        assert variance == pytest.approx(expected, rel=1e-9)


@every_form
def test_stationary_variance_outside_of_the_stable_region(form):
    beta = 0.5 * (form.name not in NO_MOMENTUM)
    edge = form.boundary(3.0, beta)
    field = form.stationary_variance([0.5 * edge, edge * (1 + 1e-12), 2 * edge, 0.0, -edge], beta, 3.0, 1.0)
    assert np.isfinite(field[0]) and np.isinf(field[1:3]).all() and np.isnan(field[3:]).all()
    # Without curvature the noise adds up, and against it the iterates run away.
    if form.name != "newton":  # which takes curvature as it comes, and has none to divide by at 0
        np.testing.assert_array_equal(form.stationary_variance(0.1, beta, [0.0, -1.0], 1.0), [np.inf, np.inf])
    if beta:
        assert np.isnan(form.stationary_variance(0.1, [1.0, -0.1, 1.5], 1.0, 1.0)).all()
    else:
        with pytest.raises(ValueError, match="no momentum"):
            form.stationary_variance(0.1, 0.9, 1.0, 1.0)


@every_form
def test_stationary_variance_broadcasts_and_scales_with_the_noise(form):
    alphas, curvatures = np.array([[0.05], [0.1]]), np.array([1.0, 5.0, 10.0])
    field = form.stationary_variance(alphas, 0.0, curvatures, 1.0)
    assert field.shape == (2, 3)
    np.testing.assert_allclose(form.stationary_variance(alphas, 0.0, curvatures, 3.0), 9 * field, rtol=1e-14)
    # Without momentum all are gradient descent, but for the one that divides by the curvature.
    expected = alphas / (curvatures * (2 - alphas * curvatures))
    if form.name == "newton":
        expected = alphas / (curvatures**2 * (2 - alphas))
    np.testing.assert_allclose(field, expected, rtol=1e-13)


def test_best_radii_are_those_of_the_table():
    assert gradient_descent.best(1, 9).radius == pytest.approx(8 / 10)
    assert gradient_descent.best(1, 9).alpha == pytest.approx(0.2)
    assert heavy_ball.best(1, 9) == pytest.approx((4 / 16, 0.25, 0.5))
    assert nesterov.best(1, 5) == pytest.approx((0.25, 1 / 3, 0.5))


def test_nesterov_standard_choice():
    for condition in (2.0, 10.0, 1e3):
        alpha, beta, radius = nesterov.standard(1.0, condition)
        assert (alpha, radius) == pytest.approx((1 / condition, 1 - condition**-0.5))
        assert 10 ** (nesterov.rate(alpha, [1.0, condition], beta) / 2) == pytest.approx(radius, abs=1e-7)


def test_heavy_ball_radius_is_flat_between_the_double_roots(reference):
    beta = 0.64  # sqrt 0.8, so complex roots for 0.04 < q < 3.24
    for q, flat in ((0.041, True), (1.0, True), (3.239, True), (0.039, False), (3.241, False)):
        for radius in (heavy_ball.radius(np.array(q), np.array(beta)), reference.radius("heavy_ball", 1.0, q, beta)):
            assert (abs(float(radius) - 0.8) < 1e-9) == flat


def test_a_defective_block_keeps_its_digits():
    # Equal roots 1/2: x_k = (1 + k/2) / 2^k exactly, where an eigendecomposition would lose half the digits.
    path = heavy_ball.trajectory([1.0], [1.0], 0.25, 0.25, 60)[:, 0]
    k = np.arange(61)
    np.testing.assert_allclose(path, (1 + k / 2) / 2.0**k, rtol=1e-13)


def test_one_step_to_the_minimum_has_no_finite_rate():
    assert gradient_descent.rate(0.5, [2.0]) == -np.inf
    np.testing.assert_array_equal(gradient_descent.trajectory([3.0], [2.0], 0.5, 0.0, 2), [[3.0], [0.0], [0.0]])


def test_no_curvature_no_bound_and_no_progress():
    assert gradient_descent.boundary(0.0) == heavy_ball.boundary(0.0, 0.5) == nesterov.boundary(0.0, 0.5) == np.inf
    assert gradient_descent.rate(0.1, [0.0]) == 0


def test_divergence_beyond_float64_is_not_an_error():
    for form in FORMS.values():
        beta = 0.5 * (form.name not in NO_MOMENTUM)
        path = form.trajectory([1.0, 0.0], [10.0, 1.0], 10.0, beta, 6000)
        assert np.isfinite(path[100, 0]) and not np.isfinite(path[-1, 0])


def test_gap_over_many_iterates():
    np.testing.assert_allclose(gap([[1.0, 2.0], [0.0, 1.0]], [2.0, 4.0]), [9.0, 2.0])


def test_what_is_not_stated_is_nan_or_refused():
    for method in (heavy_ball, nesterov, ema_momentum, quasi_hyperbolic):
        assert np.isnan(method.boundary(1.0, [-0.1, 1.0, 1.5])).all()
    assert np.isnan(heavy_ball.rate(0.1, [1.0], -0.5))
    refusing = (gradient_descent, newton, weight_decay)
    calls = [lambda f=f: f.boundary(1.0, 0.9) for f in refusing] + [
        lambda f=f: f.rate(0.1, [1.0], 0.9) for f in refusing
    ]
    for call in calls:
        with pytest.raises(ValueError, match="no momentum.*0.9"):
            call()
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        nesterov.trajectory([1.0, 2.0], [1.0, 2.0, 3.0], 0.1, 0.5, 3)


def test_special_cases_of_the_further_forms_are_the_other_methods():
    rng = np.random.default_rng(11)
    alphas, betas, spectrum = rng.uniform(0.01, 2, 50), rng.uniform(0, 0.99, 50), [0.3, 1.0, 2.0]
    for nu, form in ((0.0, gradient_descent), (1.0, ema_momentum)):
        beta = betas * (form is ema_momentum)
        np.testing.assert_allclose(quasi_hyperbolic.boundary(2.0, betas, nu=nu), form.boundary(2.0, beta), rtol=1e-13)
        radii = [10 ** (f.rate(alphas, spectrum, b, **more) / 2) for f, b, more in (
            (quasi_hyperbolic, betas, {"nu": nu}), (form, beta, {}))]  # fmt: skip
        # Without the average in the step, what is left of it still decays like its momentum.
        other = np.maximum(radii[1], betas) if nu == 0 else radii[1]
        np.testing.assert_allclose(radii[0], other, rtol=1e-9)
    np.testing.assert_allclose(newton.rate(alphas, spectrum), 2 * np.log10(np.abs(1 - alphas)), rtol=1e-12)
    assert newton.boundary([1.0, 1e6]).tolist() == [2.0, 2.0]
    np.testing.assert_array_equal(weight_decay.rate(alphas, spectrum), gradient_descent.rate(alphas, spectrum))


def test_steepest_descent_leaves_at_most_its_share_and_attains_it():
    rng = np.random.default_rng(12)
    for _ in range(50):
        spectrum = np.sort(10 ** rng.uniform(-1, 2, 5))
        bound = float(steepest_descent.most_left(spectrum[0], spectrum[-1]))
        for x, attains in ((rng.normal(size=5), False), (steepest_descent.slowest_start(spectrum), True)):
            for _ in range(5):
                g, before = spectrum * x, gap(x, spectrum)
                x = x - (g @ g) / (g @ (spectrum * g)) * g
                share = gap(x, spectrum) / before
                assert share <= bound * (1 + 1e-12)
                assert not attains or share == pytest.approx(bound, rel=1e-9)
