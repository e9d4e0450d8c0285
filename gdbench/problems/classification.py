"""Logistic and softmax regression on real data: convex, with a known minimum where a penalty makes one."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems import datasets
from gdbench.problems.batches import mini_batches
from gdbench.problems.boxes import cube
from gdbench.problems.cross_entropy import (
    Fit,
    Rows,
    cross_entropy,
    fitted,
    gap_data,
    hessian,
    loss_data,
    objective_of,
    smoothness_bound,
)
from gdbench.problems.layers import flattened
from gdbench.problems.settings import one_of, refuse, whole_number

ROWS, PIXELS, CLASSES = 1797, 64, 10

TARGET = 0.107
"""The mean cross-entropy that scikit-learn's LogisticRegression reaches on the same images at its defaults (L2 penalty
with C = 1), 0.1067, rounded up; it classifies 98.5% of them correctly. Without a penalty the infimum is 0 and is not
attained, for the classes are separable."""

TARGET_ORIGIN = (
    "loss of scikit-learn's LogisticRegression at its defaults (C = 1) on the same images, 0.1067, rounded up"
)


@functools.cache
def images_and_labels() -> dict[str, np.ndarray]:
    """Images [1797, 64] with pixels in [0, 1] and one-hot labels [1797, 10], of scikit-learn's bundled data."""
    images, classes = datasets.table("digits")
    data = {"images": images, "labels": datasets.one_hot(classes, CLASSES)}
    datasets.frozen(*data.values())
    return data


def _softmax_loss(x, data, parameters):
    # Full precision, for some accelerators round the factors of a float32 product.
    logits = jnp.matmul(data["images"], x["weights"], precision="highest") + x["bias"][None, :]
    return cross_entropy(logits, data["labels"])


@problem_family()
def digits_softmax(batch: int = 64) -> Problem:
    """Mean cross-entropy of softmax regression on 1,797 images of digits, 8 by 8, in mini-batches.

    x is {"weights": [64, 10], "bias": [10]}. It is judged on all images every 20 steps.

    Args:
        batch: images a step, drawn with replacement; 1797 takes every image once and makes the problem deterministic.
    """
    refuse(whole_number("digits_softmax", "batch", batch, 1, ROWS))
    dim = (PIXELS + 1) * CLASSES
    return Problem(
        name="digits_softmax",
        objective=_softmax_loss,
        dim=dim,
        formula="1/1797 sum_i log sum_c exp(z_ic) - z_i,label(i), z_i = W^T a_i + b",
        source=datasets.SOURCES["digits"],
        box=cube(dim, 0.1),
        start=np.zeros(dim),
        target=TARGET,
        target_origin=TARGET_ORIGIN,
        convex=True,
        data=images_and_labels(),
        template={"weights": np.zeros((PIXELS, CLASSES)), "bias": np.zeros(CLASSES)},
        **mini_batches(ROWS, batch),
    )


def as_pair(x):
    """Coefficients [d] as the logits of two classes, the first of them 0: [d, 2]."""
    return jnp.stack([jnp.zeros_like(x), x], axis=1)


def as_matrix(x):
    """Weights [d, classes] with the bias as one more row."""
    return jnp.concatenate([x["weights"], x["bias"][None, :]])


class Known(NamedTuple):
    """Rows to train on, rows held out, and the fit to the former."""

    train: Rows
    held_out: Rows
    fit: Fit


@functools.cache
def known(dataset: str, l2: float, label_noise: float, instance: int, binary: bool) -> Known:
    """Penalised cross-entropy on a data set: standardised columns, wrong labels in the training rows only."""
    columns, classes = datasets.table(dataset)
    train, held_out = datasets.split(len(columns), instance)
    design, kinds = datasets.standardised(columns, train), int(classes.max()) + 1
    given = datasets.mislabelled(classes[train], kinds, label_noise, instance)
    seen = Rows(design[train], datasets.one_hot(given, kinds))
    unseen = Rows(design[held_out], datasets.one_hot(classes[held_out], kinds))
    fit = fitted(seen, l2, free_columns(binary))
    datasets.frozen(*seen, *unseen, fit.solution, fit.log_odds)
    return Known(seen, unseen, fit)


def free_columns(binary: bool) -> slice:
    """The columns of W that are coordinates: with two classes the first is 0."""
    return slice(1, None) if binary else slice(0, None)


@functools.cache
def _curvature(dataset: str, l2: float, label_noise: float, instance: int, binary: bool) -> tuple[float, float]:
    (design, _), _, fit = known(dataset, l2, label_noise, instance, binary)
    eigenvalues = np.linalg.eigvalsh(hessian(design, fit.log_odds, l2, free_columns(binary)))
    return float(eigenvalues[0]), float(eigenvalues[-1])


def _faults(name: str, count: int, l2: Any, batch: Any, label_noise: Any, instance: Any) -> list[str]:
    faults = datasets.faults_of_rows(name, count, batch, instance, label_noise)
    return faults + datasets.number(name, "l2", l2, 1e-6)


def _penalised(dataset: str, l2: float, batch: int, label_noise: float, instance: int, binary: bool) -> dict[str, Any]:
    """The fields of a Problem that logistic and softmax regression have in common, their settings being in order."""
    case = (dataset, float(l2), float(label_noise), int(instance), binary)
    train, held_out, fit = known(*case)
    sampling = datasets.batches_of_rows(len(train.design), batch)
    whole = sampling["sample"] is None
    # Printed to six digits, so rounded up.
    bound = smoothness_bound(train.design, l2, free_columns(binary)) * (1 + 1e-5)
    minimizer = fit.solution[:, 1]
    if not binary:
        minimizer = flattened({"weights": fit.solution[:-1], "bias": fit.solution[-1]})
    # Wide enough for every draw of standard scale, and for the minimizer where the penalty is small.
    half_width = max(1.0, float(np.ceil(1.25 * np.abs(minimizer).max())))
    return {
        "objective": objective_of(as_pair if binary else as_matrix, whole),
        "dim": len(minimizer),
        "source": datasets.SOURCES[dataset],
        "box": cube(len(minimizer), half_width),
        "start": np.zeros(len(minimizer)),
        "minimum": fit.minimum,
        "minimizers": minimizer[None, :],
        "all_minimizers": True,
        "curvature": lambda parameters: _curvature(*case),
        "curvature_is_local": True,
        "offset": fit.minimum if whole else 0.0,
        "convex": True,
        "notes": f"strongly convex: eigenvalues of the Hessian lie from {l2:g} to {bound:.6g} everywhere; "
        "the held-out loss leaves the penalty out",
        "data": gap_data(train, fit, l2, True) if whole else loss_data(train, l2),
        "held_out": gap_data(held_out, fit, 0.0, False) if whole else loss_data(held_out, 0.0),
        **sampling,
    }


@problem_family()
def logistic_regression(l2: float = 0.01, batch: int = 0, label_noise: float = 0.0, instance: int = 0) -> Problem:
    """Logistic loss plus l2/2 |w|^2 on 456 tumours of the breast cancer data, 30 measurements: strongly convex.

    Coordinates: thirty coefficients of standardised columns, then the intercept, all of them penalised. scikit-learn's
    LogisticRegression has C = 1/(rows l2). Another 113 tumours are held out.

    Args:
        l2: weight of the penalty, at least 1e-6; static, for the minimum depends on it.
        batch: rows a step, drawn with replacement; 0 takes every row once and makes the problem deterministic.
        label_noise: share of the training labels that are wrong; held-out labels are not touched.
        instance: seed of the split and of the wrong labels.
    """
    name, count = "logistic_regression", 456
    refuse(_faults(name, count, l2, batch, label_noise, instance))
    return Problem(
        name=name,
        formula=f"1/{count} sum_i log(1 + exp(-y_i w . a_i)) + {l2:g}/2 |w|^2, y_i = -1 or 1",
        **_penalised("breast_cancer", l2, batch, label_noise, instance, binary=True),
    )


TRAINED = {"wine": 143, "iris": 120}
"""Rows to train on, by data set."""


@problem_family()
def softmax_regression(
    dataset: str = "wine", l2: float = 0.01, batch: int = 0, label_noise: float = 0.0, instance: int = 0
) -> Problem:
    """Mean cross-entropy of softmax regression plus l2/2 |x|^2 on wine or iris: strongly convex.

    x is {"weights": [columns, classes], "bias": [classes]}, of standardised columns, all penalised. A fifth of the rows
    is held out.

    Args:
        dataset: "wine" (143 rows, 13 columns, 3 classes) or "iris" (120, 4, 3).
        l2: weight of the penalty, at least 1e-6; static, for the minimum depends on it.
        batch: rows a step, drawn with replacement; 0 takes every row once and makes the problem deterministic.
        label_noise: share of the training labels that are wrong; held-out labels are not touched.
        instance: seed of the split and of the wrong labels.
    """
    name = "softmax_regression"
    refuse(one_of(name, "dataset", dataset, list(TRAINED)))
    refuse(_faults(name, TRAINED[dataset], l2, batch, label_noise, instance))
    fields = _penalised(dataset, l2, batch, label_noise, instance, binary=False)
    columns, classes = known(dataset, float(l2), float(label_noise), int(instance), False).fit.solution.shape
    return Problem(
        name=name,
        formula=f"1/{TRAINED[dataset]} sum_i log sum_c exp(z_ic) - z_i,label(i) + {l2:g}/2 |x|^2, z_i = W^T a_i + b",
        template={"weights": np.zeros((columns - 1, classes)), "bias": np.zeros(classes)},
        **fields,
    )
