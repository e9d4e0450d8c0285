"""Linear regression on real data, with its closed-form least-squares solution."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems import datasets
from gdbench.problems.boxes import cube
from gdbench.problems.settings import refuse

PATIENTS = 442


@functools.cache
def standardised() -> tuple[np.ndarray, np.ndarray]:
    """Design matrix [442, 11] and target [442] of scikit-learn's bundled data, float64.

    The ten columns have mean 0 and variance 1; the eleventh is 1, for the intercept. The target is divided by its
    standard deviation but not centred: the intercept (1.97) is then something to be learned, within the box of starts.
    """
    columns, target = datasets.table("diabetes")
    return datasets.standardised(columns, np.arange(PATIENTS)), target / target.std()


def _distance(x, data, parameters):
    # Full precision, for some accelerators round the factors of a float32 product.
    return jnp.matmul(data["root"], x - data["solution"], precision="highest")


def _gap(x, data, parameters):
    return jnp.sum(_distance(x, data, parameters) ** 2) + data["excess"]


def _errors(x, rows):
    return jnp.matmul(rows["design"], x, precision="highest") - rows["target"]


def _on_rows(x, data, parameters):
    return jnp.mean(_errors(x, data["rows"]) ** 2) + 0.5 * data["penalty"] * jnp.sum(x[:-1] ** 2)


def _residuals_on_rows(x, data, parameters):
    errors = _errors(x, data["rows"])
    return jnp.append(errors / math.sqrt(errors.shape[0]), jnp.sqrt(0.5 * data["penalty"]) * x[:-1])


def completed_square(design: np.ndarray, target: np.ndarray) -> tuple[dict[str, np.ndarray], float]:
    """(root, solution, excess 0) and the least value of |A w - y|^2, which is |root (w - solution)|^2 above it."""
    q, root = np.linalg.qr(design)
    solution = np.linalg.solve(root, q.T @ target)
    least = float(np.sum((design @ solution - target) ** 2))
    return {"root": root, "solution": solution, "excess": np.zeros(())}, least


@problem_family()
def diabetes_regression() -> Problem:
    """Mean squared error of a linear model with intercept on the diabetes data (442 patients, 10 measurements).

    With A = QR the design matrix and w* the least-squares solution, the error is its minimum plus |R (w - w*)|^2 / 442:
    the same function and gradient as the sum over patients, resolved near the minimum. Coordinates: ten coefficients
    of standardised columns, then the intercept, in units of the target's standard deviation.
    """
    design, target = standardised()
    data, least = completed_square(design / math.sqrt(PATIENTS), target / math.sqrt(PATIENTS))
    singular = np.linalg.svd(data["root"], compute_uv=False)
    return Problem(
        name="diabetes_regression",
        objective=_gap,
        residuals=_distance,
        dim=design.shape[1],
        formula="1/442 sum_i (w . a_i + b - y_i)^2",
        source=datasets.SOURCES["diabetes"],
        box=cube(design.shape[1], 3),
        start=np.zeros(design.shape[1]),
        minimum=least,
        minimizers=data["solution"][None, :],
        all_minimizers=True,
        curvature=lambda parameters: (2 * float(singular[-1]) ** 2, 2 * float(singular[0]) ** 2),
        offset=least,
        convex=True,
        quadratic=True,
        data=data,
    )


@functools.cache
def _ridge(l2: float, instance: int) -> dict[str, Any]:
    """Design and target of both parts of the data, and what is known of the fit to the first."""
    columns, target = datasets.table("diabetes")
    train, held_out = datasets.split(PATIENTS, instance)
    design = datasets.standardised(columns, train)
    target = target / target[train].std()
    # The penalty is ten more rows: sqrt(l2/2) w_j should be 0.
    further = math.sqrt(l2 / 2) * np.eye(design.shape[1])[:-1]
    scale = math.sqrt(len(train))
    fit, least = completed_square(
        np.vstack([design[train] / scale, further]), np.concatenate([target[train] / scale, np.zeros(len(further))])
    )
    scale = math.sqrt(len(held_out))
    unseen, unseen_least = completed_square(design[held_out] / scale, target[held_out] / scale)
    unseen["excess"] = np.asarray(unseen_least - least)
    datasets.frozen(*fit.values(), *unseen.values())
    parts = {part: {"design": design[i], "target": target[i]} for part, i in (("train", train), ("unseen", held_out))}
    return {"fit": fit, "least": least, "unseen": unseen, "parts": parts}


@problem_family()
def ridge_regression(l2: float = 0.1, batch: int = 0, instance: int = 0) -> Problem:
    """Mean squared error plus l2/2 |w|^2 on 354 patients of the diabetes data: a quadratic with held-out data.

    Coordinates: ten coefficients of standardised columns, then the intercept, which is not penalised. scikit-learn's
    Ridge has alpha = rows l2/2. The loss on the 88 held-out patients leaves the penalty out.

    Args:
        l2: weight of the penalty; static, for the minimum depends on it.
        batch: patients a step, drawn with replacement; 0 takes each of them once and makes the problem deterministic.
        instance: seed of the split.
    """
    rows = PATIENTS - PATIENTS // datasets.HELD_OUT_SHARE
    refuse(
        datasets.number("ridge_regression", "l2", l2, 0.0)
        + datasets.faults_of_rows("ridge_regression", rows, batch, instance)
    )
    known = _ridge(float(l2), int(instance))
    fit, least, sampling = known["fit"], known["least"], datasets.batches_of_rows(rows, batch)
    singular = np.linalg.svd(fit["root"], compute_uv=False)
    whole, penalty = sampling["sample"] is None, np.asarray(float(l2))
    parts = known["parts"]
    return Problem(
        name="ridge_regression",
        objective=_gap if whole else _on_rows,
        residuals=_distance if whole else _residuals_on_rows,
        dim=len(fit["solution"]),
        formula=f"1/{rows} sum_i (w . a_i + b - y_i)^2 + {l2:g}/2 |w|^2",
        source=f"Hoerl and Kennard, Technometrics 12 (1970) 55-67; {datasets.SOURCES['diabetes']}",
        box=cube(len(fit["solution"]), 3),
        start=np.zeros(len(fit["solution"])),
        minimum=least,
        minimizers=fit["solution"][None, :],
        all_minimizers=True,
        curvature=lambda parameters: (2 * float(singular[-1]) ** 2, 2 * float(singular[0]) ** 2),
        offset=least if whole else 0.0,
        convex=True,
        quadratic=True,
        data=fit if whole else {"rows": parts["train"], "penalty": penalty},
        held_out=known["unseen"] if whole else {"rows": parts["unseen"], "penalty": np.zeros(())},
        **sampling,
    )
