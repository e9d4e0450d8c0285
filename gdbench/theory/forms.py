"""What a closed form of a method on a quadratic is, and the arithmetic that the methods share.

On f(x) = 1/2 sum_i lambda_i x_i^2 a linear method acts on every eigenvalue lambda by itself: its state is
multiplied by a fixed matrix a step. The spectral radius of that matrix says whether, and how fast, the method
converges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq


class Tuning(NamedTuple):
    """The hyperparameters with the smallest spectral radius over [m, L], and that radius."""

    alpha: float
    momentum: float
    radius: float


@dataclass(frozen=True)
class ClosedForm:
    """What is known exactly of a method on a quadratic with eigenvalues in [m, L].

    Every function takes the hyperparameters named in ``further`` as keywords also.

    Attributes:
        name: the name that ``Optimizer.theory`` refers to.
        boundary: (L, momentum=0.0) -> the learning rate below which the method converges, and from which on it
            does not.
        rate: (alpha, eigenvalues, momentum=0.0) -> decades of gap per step in the long run, 2 log10(radius); negative
            converges.
        trajectory: (x0, eigenvalues, alpha, momentum, steps) -> iterates, shape [steps + 1, dim].
        best: (m, L) -> the best hyperparameters and their spectral radius; None where no formula is known.
        stationary_variance: (alpha, momentum, curvature, noise) -> E x^2 in the long run along one eigenvector, where
            every gradient carries independent noise of standard deviation ``noise``; infinite where it grows without
            bound.
        further: hyperparameters beside learning rate and momentum that it depends on.
    """

    name: str
    boundary: Callable[..., np.ndarray]
    rate: Callable[..., np.ndarray]
    trajectory: Callable[..., np.ndarray]
    best: Callable[..., Tuning] | None
    stationary_variance: Callable[..., np.ndarray]
    further: tuple[str, ...] = ()

    def gap(
        self, x0: ArrayLike, eigenvalues: ArrayLike, alpha: float, momentum: float, steps: int, **further: float
    ) -> np.ndarray:
        """f(x_k) - f* = 1/2 sum_i lambda_i x_{k,i}^2 for k = 0 ... steps, shape [steps + 1]."""
        return gap(self.trajectory(x0, eigenvalues, alpha, momentum, steps, **further), eigenvalues)

    def largest_curvature(self, alpha: float, momentum: float = 0.0, **further: float) -> float:
        """The L whose ``boundary`` is this learning rate: 2/alpha for gradient descent.

        Infinite where the rate is stable at any curvature, 0 where it is at none, NaN where no boundary is stated.
        """

        def above(decades: float) -> float:
            return float(np.log(self.boundary(10.0**decades, momentum, **further)) - np.log(alpha))

        low, high = above(-EXTREME), above(EXTREME)
        if not (low > 0 > high):
            return float("nan") if np.isnan(low) else 0.0 if low <= 0 else float("inf")
        return 10.0 ** float(brentq(above, -EXTREME, EXTREME, xtol=1e-14))  # pyright: ignore[reportArgumentType]


EXTREME = 15.0
"""Decades of curvature, about 1, among which ``largest_curvature`` looks."""


def gap(iterates: ArrayLike, eigenvalues: ArrayLike) -> np.ndarray:
    """1/2 sum_i lambda_i x_i^2 over the last axis of the iterates, shape [..., dim] -> [...]."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return 0.5 * np.sum(np.asarray(eigenvalues) * np.square(iterates), axis=-1)


def divide(numerator: ArrayLike, curvature: ArrayLike) -> np.ndarray:
    """The quotient, infinite where the curvature is 0: a function without curvature sets no bound."""
    with np.errstate(divide="ignore"):
        return np.divide(numerator, curvature)


def momentum_in_range(momentum: ArrayLike) -> np.ndarray:
    """The momentum, NaN where it is outside [0, 1): no learning rate is stable from 1 on, and none of these forms
    is stated below 0.
    """
    momentum = np.asarray(momentum, dtype=float)
    return np.where((momentum >= 0) & (momentum < 1), momentum, np.nan)


def largest_root(trace: np.ndarray, determinant: np.ndarray, discriminant: np.ndarray) -> np.ndarray:
    """Largest modulus of the roots of s^2 - trace s + determinant.

    The discriminant trace^2 - 4 determinant is passed in, for it can be written in factors that lose no digits near a
    double root, where a rounding error e moves a root by sqrt(e).
    """
    real = (np.abs(trace) + np.sqrt(np.maximum(discriminant, 0.0))) / 2
    # Complex roots are conjugate, so both have the modulus sqrt(determinant), and the determinant is positive.
    return np.where(discriminant >= 0, real, np.sqrt(np.maximum(determinant, 0.0)))


Radius = Callable[[np.ndarray, np.ndarray], np.ndarray]


def rate_over_spectrum(radius: Radius, alpha: ArrayLike, eigenvalues: ArrayLike, momentum: ArrayLike) -> np.ndarray:
    """2 log10 of the largest radius over the eigenvalues; -inf where every radius is 0.

    For all of these methods the radius is quasi-convex in the eigenvalue, so the ends (m, L) of a spectrum give the
    same answer as all of it.

    Args:
        radius: (alpha * eigenvalue, momentum) -> spectral radius, elementwise.
        alpha: learning rates, any shape.
        eigenvalues: shape [..., n]; the maximum is over the last axis, the others broadcast against alpha's.
        momentum: any shape that broadcasts against alpha's.
    """
    steps = np.asarray(alpha, dtype=float)[..., None] * np.atleast_1d(np.asarray(eigenvalues, dtype=float))
    worst = np.max(radius(steps, np.asarray(momentum, dtype=float)[..., None]), axis=-1)
    with np.errstate(divide="ignore"):
        return 2 * np.log10(worst)


def variance_from_noise(
    shape: Radius, edge: ArrayLike, alpha: ArrayLike, momentum: ArrayLike, curvature: ArrayLike, noise: ArrayLike
) -> np.ndarray:
    """E x^2 in the long run along one eigenvector, alpha^2 noise^2 shape(q, momentum) with q = alpha * curvature.

    Args:
        shape: (q, momentum) -> the variance at alpha = noise = 1, elementwise.
        edge: the q from which on the method is not stable.
        alpha: learning rates; these and all that follow are broadcast.
        momentum: as the method states it.
        curvature: the eigenvalue.
        noise: standard deviation of the noise on the gradient, independent from step to step.

    Returns:
        The variance, infinite where the method is not stable or the curvature is 0 (the noise adds up), NaN where the
        learning rate is not positive or the momentum is out of its range.
    """
    alpha, edge = np.asarray(alpha, dtype=float), np.asarray(edge, dtype=float)
    q = alpha * curvature
    stable = (q > 0) & (q < edge)
    momentum = np.where(np.isnan(edge), np.nan, momentum)
    spread = np.square(alpha * noise) * shape(np.where(stable, q, 0.5 * edge), momentum)
    return np.where((alpha > 0) & ~np.isnan(edge), np.where(stable, spread, np.inf), np.nan)


def start_and_spectrum(x0: ArrayLike, eigenvalues: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both as vectors of one shape [dim] in extended precision; ValueError when their shapes differ."""
    x0 = np.atleast_1d(np.asarray(x0, dtype=np.longdouble))
    eigenvalues = np.atleast_1d(np.asarray(eigenvalues, dtype=np.longdouble))
    if x0.shape != eigenvalues.shape or x0.ndim != 1:
        raise ValueError(f"x0 and eigenvalues must have one shape [dim], received {x0.shape} and {eigenvalues.shape}")
    return x0, eigenvalues


def orbit(blocks: np.ndarray, x0: np.ndarray, steps: int) -> np.ndarray:
    """Iterates of (x, v) <- block (x, v) from (x0, 0), one block an eigenvalue, by powers of the blocks.

    The powers are found by doubling, B^(n+j) = B^n B^j, in extended precision where the platform has it. That holds
    for defective blocks too (equal roots, as at the best momentum), where an eigendecomposition loses half the digits.

    Args:
        blocks: shape [dim, 2, 2].
        x0: shape [dim].
        steps: number of steps.

    Returns:
        x, shape [steps + 1, dim], float64; infinite or NaN beyond its range.
    """
    powers = np.empty((steps + 1, *blocks.shape), dtype=np.longdouble)
    powers[0] = np.eye(2)
    known, jump = 1, blocks.astype(np.longdouble)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        while known <= steps:
            take = min(known, steps + 1 - known)
            powers[known : known + take] = np.matmul(powers[:take], jump)
            known, jump = known + take, np.matmul(jump, jump)
        return (powers[:, :, 0, 0] * x0).astype(float)


def stacked(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """The matrices [[a, b], [c, d]], from shape [dim] to [dim, 2, 2]."""
    a, b, c, d = np.broadcast_arrays(a, b, c, d)
    return np.stack([np.stack([a, b], axis=-1), np.stack([c, d], axis=-1)], axis=-2)
