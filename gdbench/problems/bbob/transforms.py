"""The transformations that BBOB's functions are made of, in JAX, with finite derivatives everywhere.

Where a formula has a logarithm, a root or a power at 0, the argument is first replaced by 1 there and the result
afterwards by its limit, so that no derivative is 0 times infinity. Comparisons are written such that NaN stays NaN.
"""

from __future__ import annotations

import math

from gdbench.lazy import jnp


def _or_one(x):
    """(whether x is negative, 0, or too small for its inverse; x with 1 in its place where it is)."""
    small = x < jnp.finfo(x.dtype).tiny
    return small, jnp.where(small, 1, x)


def turned(matrix, x):
    """matrix x, in full precision, for some accelerators round the factors of a float32 product."""
    return jnp.matmul(matrix, x, precision="highest")


def oscillated(x):
    """BBOB's T_osz of every entry: x exp(0.049 (sin(c1 log|x|) + sin(c2 log|x|))), an irregular but monotone bend.

    (c1, c2) is (10, 7.9) for positive and (5.5, 3.1) for negative x. The slope has no limit at 0; it is taken as 1.
    """
    _, distance = _or_one(jnp.abs(x))
    log, ahead = jnp.log(distance), x > 0
    bend = jnp.sin(jnp.where(ahead, 10, 5.5) * log) + jnp.sin(jnp.where(ahead, 7.9, 3.1) * log)
    return x * jnp.exp(0.049 * bend)


def asymmetric(x, strengths):
    """BBOB's T_asy^beta: x^(1 + strength sqrt(x)) where x > 0, and x elsewhere; strength_i = beta i/(n-1)."""
    behind, ahead = _or_one(x)
    return jnp.where(behind, x, ahead * jnp.exp(strengths * jnp.sqrt(ahead) * jnp.log(ahead)))


def power(base, exponent):
    """base^exponent for base >= 0, with derivative 0 at 0 also where the exponent is below 1."""
    small, safe = _or_one(base)
    return jnp.where(small, 0, safe**exponent)


def size(x):
    """|x| with derivative 0 at 0, where jnp.abs has 1, so that a descent rests at a minimizer that is a kink."""
    return x * jnp.sign(x)


def wave(x):
    """sin^2(pi x) = (1 - cos 2 pi x)/2, accurate also for large x, which is first brought to [-1/2, 1/2]."""
    return jnp.sin(math.pi * (x - jnp.round(x))) ** 2


def penalty(x):
    """Sum of max(0, |x_i| - 5)^2, the squared distance from the box."""
    return jnp.sum(jnp.maximum(jnp.abs(x) - 5, 0) ** 2)


def valley(u):
    """The n - 1 terms of Rosenbrock's function at 1 + u, resolved near u = 0."""
    ahead, here = u[1:], u[:-1]
    return 100 * (here * (2 + here) - ahead) ** 2 + here**2
