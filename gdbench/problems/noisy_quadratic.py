"""The noisy quadratic model: a quadratic whose every gradient carries normal noise of one size."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jax, jnp
from gdbench.problems.boxes import cube
from gdbench.problems.quadratic import ends
from gdbench.problems.settings import one_of, refuse, whole_number
from gdbench.problems.spectra import FORMULAS, SPECTRA, eigenvalues_of, fractions_of


@functools.cache
def objective_of(spectrum: str) -> Callable[..., Any]:
    """1/2 sum_i lambda_i x_i^2 + noise <xi, x>, whose gradient is that of the quadratic plus noise * xi."""

    def objective(x, data, parameters):
        eigenvalues = eigenvalues_of(spectrum, parameters["condition"], data["fractions"])
        return 0.5 * jnp.sum(eigenvalues * x**2) + parameters["noise"] * jnp.sum(data["xi"] * x)

    return objective


def draw_noise(data: Any, key: Any) -> Any:
    """The data of one evaluation: xi is drawn from the standard normal distribution."""
    xi = data["xi"]
    # Drawn in float32, so that both precisions meet the same noise.
    return {**data, "xi": jax.random.normal(key, xi.shape, "float32").astype(xi.dtype)}


@problem_family(condition=10.0, noise=1.0)
def noisy_quadratic(dim: int = 2, spectrum: str = "log") -> Problem:
    """1/2 sum lambda_i x_i^2 with normal noise of standard deviation ``noise`` on every component of the gradient.

    With a constant learning rate the iterates end in a stationary distribution around the minimum, whose variance
    ``gdbench.theory`` states for gradient descent, heavy ball and Nesterov. It is judged without noise, every 10 steps.

    Args:
        dim: number of coordinates; with 1 the eigenvalue is the condition.
        spectrum: where the eigenvalues lie, as for ``quadratic``.
    """
    refuse(whole_number("noisy_quadratic", "dim", dim, 1) + one_of("noisy_quadratic", "spectrum", spectrum, SPECTRA))
    return Problem(
        name="noisy_quadratic",
        objective=objective_of(spectrum),
        dim=dim,
        formula=f"1/2 sum_i lambda_i x_i^2 + noise <xi, x>, xi ~ N(0, I) anew in every step, "
        f"lambda_i = {FORMULAS[spectrum]}, i = 0 ... n-1",
        source="Schaul, Zhang and LeCun, ICML 2013; Zhang et al., NeurIPS 2019 (arXiv 1907.04164)",
        box=cube(dim, 5),
        start=np.ones(dim),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=lambda parameters: ends(dim, parameters["condition"]),
        convex=True,
        separable=True,
        quadratic=True,
        notes="the noise does not shrink with the gradient: at a constant learning rate descents end at a floor",
        data={"fractions": fractions_of(spectrum, dim), "xi": np.zeros(dim)},
        sample=draw_noise,
        judge_every=10,
    )
