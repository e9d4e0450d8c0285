"""Linear regression on real data, with its closed-form least-squares solution."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube


@functools.cache
def standardised() -> tuple[np.ndarray, np.ndarray]:
    """Design matrix [442, 11] and target [442] of scikit-learn's bundled data, float64.

    The ten columns have mean 0 and variance 1; the eleventh is 1, for the intercept. The target is divided by its
    standard deviation but not centred: the intercept (1.97) is then something to be learned, within the box of starts.
    """
    from sklearn.datasets import load_diabetes  # imported here because it takes longer than all the rest of a catalogue

    bundle: Any = load_diabetes(scaled=False)
    columns, target = bundle.data, bundle.target
    columns = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    return np.column_stack([columns, np.ones(len(columns))]), target / target.std()


def _objective(x, data, parameters):
    # Full precision, for some accelerators round the factors of a float32 product.
    return jnp.sum(jnp.matmul(data["root"], x - data["solution"], precision="highest") ** 2)


@problem_family()
def diabetes_regression() -> Problem:
    """Mean squared error of a linear model with intercept on the diabetes data (442 patients, 10 measurements).

    With A = QR the design matrix and w* the least-squares solution, the error is its minimum plus |R (w - w*)|^2 / 442:
    the same function and gradient as the sum over patients, resolved near the minimum. Coordinates: ten coefficients
    of standardised columns, then the intercept, in units of the target's standard deviation.
    """
    design, target = standardised()
    rows = len(design)
    q, r = np.linalg.qr(design)
    solution = np.linalg.solve(r, q.T @ target)
    least = float(np.mean((design @ solution - target) ** 2))
    singular = np.linalg.svd(r, compute_uv=False)
    return Problem(
        name="diabetes_regression",
        objective=_objective,
        dim=design.shape[1],
        formula="1/442 sum_i (w . a_i + b - y_i)^2",
        source="Efron, Hastie, Johnstone and Tibshirani, Annals of Statistics 32 (2004); bundled with scikit-learn",
        box=cube(design.shape[1], 3),
        start=np.zeros(design.shape[1]),
        minimum=least,
        minimizers=solution[None, :],
        all_minimizers=True,
        curvature=lambda parameters: (2 * float(singular[-1]) ** 2 / rows, 2 * float(singular[0]) ** 2 / rows),
        offset=least,
        data={"root": r / np.sqrt(rows), "solution": solution},
    )
