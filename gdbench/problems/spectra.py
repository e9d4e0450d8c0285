"""Spectra from 1 to a traced condition: where in between the eigenvalues of a quadratic lie."""

from __future__ import annotations

from typing import Any

import numpy as np

from gdbench.lazy import jax, jnp

SPECTRA = ("log", "linear", "clusters", "outlier", "marchenko_pastur")
"""Eigenvalues spaced evenly in their logarithm, or themselves; two clusters, each a tenth of the logarithmic range
wide, one at either end; one at the condition and the rest at 1; the quantiles i/(n-1) of a Marchenko-Pastur law."""

FORMULAS = {
    "log": "condition^(i/(n-1))",
    "linear": "1 + (condition - 1) i/(n-1)",
    "clusters": "condition^s_i, s_i evenly over [0, 0.1] and over [0.9, 1]",
    "outlier": "1, but condition for i = n-1",
    "marchenko_pastur": "the quantile i/(n-1) of the Marchenko-Pastur law with edges 1 and condition",
}
"""The eigenvalues lambda_i, i = 0 ... n-1, as the formula of a problem names them."""

CLUSTER_WIDTH = 0.1

NEWTON_STEPS = 14
"""Enough for all quantiles i/(n-1) to n = 100,000 at any condition, in float64."""


def fractions_of(spectrum: str, dim: int) -> np.ndarray:
    """The part of a spectrum that does not depend on the condition: numbers in [0, 1], ascending, shape [dim].

    The first is 0 (the eigenvalue 1) and the last is 1 (the condition); in one dimension it is 1 alone.
    """
    if dim == 1:
        return np.ones(1)
    if spectrum == "outlier":
        return np.append(np.zeros(dim - 1), 1.0)
    if spectrum == "clusters":
        low, high = (dim + 1) // 2, dim // 2
        ends = np.linspace(0, CLUSTER_WIDTH, low), 1 - np.linspace(0, CLUSTER_WIDTH, high)[::-1]
        return np.concatenate(ends)
    return np.linspace(0, 1, dim)


def eigenvalues_of(spectrum: str, condition: Any, fractions: Any) -> Any:
    """The eigenvalues, shape [dim], for a traced condition > 0; smooth in it."""
    if spectrum == "linear":
        return 1 + (condition - 1) * fractions
    if spectrum == "marchenko_pastur":
        return 1 + (condition - 1) * marchenko_pastur_shares(condition, fractions)
    # A power of a positive number is smooth in it, at fraction 0 as well.
    return condition**fractions


def marchenko_pastur_shares(condition: Any, fractions: Any) -> Any:
    """Quantiles of the Marchenko-Pastur law whose edges have that ratio, as shares of the way between the edges.

    The law of ratio s^2 has the edges (1 - s)^2 and (1 + s)^2, so sqrt(condition) = (1 + s)/(1 - s). With an angle t
    from 0 to pi its points are (1 - s)^2 + 4 s sin^2(t/2), the share is sin^2(t/2), and t has the density
    (2/pi) sin^2 t / (1 + s^2 - 2 s cos t), whose only mode is at cos t = s. Newton's method on the distribution
    function, begun at the mode, falls on every quantile from one side, as the function is convex before it and concave
    behind it.

    Args:
        condition: ratio of the edges, a scalar > 0; below 1 the law is mirrored.
        fractions: shape [dim]; 0 and 1 are the edges themselves.
    """
    inside = (fractions > 0) & (fractions < 1)
    wanted = jnp.where(inside, fractions, 0.5)
    root = jnp.sqrt(condition)
    s, rest = (root - 1) / (root + 1), 2 / (root + 1)

    def newton(_, t):
        distribution, density = _law(t, s, rest)
        return jnp.clip(t - (distribution - wanted) / density, 1e-6, np.pi - 1e-6)

    begin = jnp.full_like(wanted, 1) * jnp.arccos(s)
    # The last step alone carries the derivative by the condition: that of the implicit function.
    t = newton(0, jax.lax.stop_gradient(jax.lax.fori_loop(0, NEWTON_STEPS - 1, newton, begin)))
    return jnp.where(inside, jnp.sin(t / 2) ** 2, fractions)


def _law(t: Any, s: Any, rest: Any) -> tuple[Any, Any]:
    """Distribution function and density at the angles t; ``rest`` is 1 - s to all its digits.

    pi F = t + s sin t - (1 - s^2) B, where s^2 B = arctan r - s sin t and r = s sin t / (1 - s cos t). Written as below
    it loses no digits where s is small, which is where the condition is near 1.
    """
    sine, cosine, versine = jnp.sin(t), jnp.cos(t), 2 * jnp.sin(t / 2) ** 2
    slope = sine / (rest + s * versine)
    r = s * slope
    small = jnp.abs(r) < 0.03
    series = -s * slope**3 * (1 / 3 - r**2 * (1 / 5 - r**2 * (1 / 7 - r**2 * (1 / 9 - r**2 / 11))))
    b = slope * cosine + jnp.where(small, series, (jnp.arctan(r) - r) / jnp.where(small, 1, s**2))
    distribution = (t + s * sine - rest * (1 + s) * b) / np.pi
    return distribution, 2 * sine**2 / (np.pi * (rest**2 + 2 * s * versine))
