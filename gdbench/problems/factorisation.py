"""Products of matrices that approximate a real one: not convex, with saddles, and a minimum known in closed form."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems import datasets
from gdbench.problems.layers import glorot, initialised
from gdbench.problems.settings import refuse, whole_number

IMAGES, PIXELS, CLASSES, ROWS = 100, 64, 10, 1797


class Truncation(NamedTuple):
    """A matrix M [n, m] cut off after its r largest singular values: M = best + rest.

    Attributes:
        best: the nearest matrix of rank r (Eckart and Young).
        rest: what it leaves.
        left: its column space, orthonormal [n, r].
        right: its row space, orthonormal [m, r].
        values: the r singular values.
    """

    best: np.ndarray
    rest: np.ndarray
    left: np.ndarray
    right: np.ndarray
    values: np.ndarray


def truncated(matrix: np.ndarray, rank: int) -> Truncation:
    """The singular value decomposition, cut off."""
    u, values, vt = np.linalg.svd(matrix, full_matrices=False)
    best = (u[:, :rank] * values[:rank]) @ vt[:rank]
    rest = (u[:, rank:] * values[rank:]) @ vt[rank:]
    return Truncation(best, rest, u[:, :rank], vt[:rank].T, values[:rank])


def balanced_factors(cut: Truncation, depth: int) -> list[np.ndarray]:
    """So many matrices of rank r whose product is the best one, each with the same singular values: a minimizer."""
    root = cut.values ** (1 / depth)
    return [cut.left * root, *[np.diag(root)] * (depth - 2), (cut.right * root).T]


def _product(a, b):
    # Full precision, for some accelerators round the factors of a float32 product.
    return jnp.matmul(a, b, precision="highest")


def _outside(a, basis):
    """The part of the columns of a outside of the span of an orthonormal basis."""
    return a - _product(basis, _product(basis.T, a))


def _gap(left, right, data):
    """1/2 |M - left right|^2 above its minimum over matrices of this rank, and ``excess``.

    With M = best + rest it is 1/2 |best - left right|^2 - <rest, left right>. Only what is in neither space of the best
    matrix enters the second term, and both factors of that vanish at a minimizer: so no digits cancel there.
    """
    near = 0.5 * jnp.sum((data["best"] - _product(left, right)) ** 2)
    across = _product(data["rest"].T, _outside(left, data["left"])) * _outside(right.T, data["right"])
    return near - jnp.sum(across) + data["excess"]


def _two_factors(x, data, parameters):
    return _gap(x["left"], x["right"], data)


@functools.cache
def _images(rank: int) -> tuple[Truncation, float]:
    images = datasets.table("digits").columns[:IMAGES]
    cut = truncated(images / np.linalg.norm(images), rank)
    datasets.frozen(*cut)
    return cut, 0.5 * float(np.sum(cut.rest**2))


@problem_family()
def matrix_factorisation(rank: int = 4) -> Problem:
    """1/2 |A - U V|^2, A the first 100 images of digits (100 by 64, scaled to |A| = 1): a saddle at 0, no other traps.

    x is {"left": U [100, rank], "right": V [rank, 64]}. The minimum is half the sum of squares of the singular values
    that are left out. Minimizers are no points but whole families: (U G, G^-1 V) is as good for every invertible G.

    Args:
        rank: columns of U, from 1 to 64.
    """
    refuse(whole_number("matrix_factorisation", "rank", rank, 1, PIXELS))
    cut, least = _images(int(rank))
    return Problem(
        name="matrix_factorisation",
        objective=_two_factors,
        formula=f"1/2 |A - U V|_F^2, U [100, {rank}], V [{rank}, 64]",
        source="Eckart and Young, Psychometrika 1 (1936) 211-218; every local minimum is global: Baldi and Hornik, "
        f"Neural Networks 2 (1989) 53-58; {datasets.SOURCES['digits']}",
        minimum=least,
        offset=least,
        convex=False,
        notes="U = 0, V = 0 is a saddle; a minimizer has a whole family of others around it, along which f is constant",
        data={"best": cut.best, "rest": cut.rest, "left": cut.left, "right": cut.right, "excess": np.zeros(())},
        **initialised({
            "left": ((IMAGES, int(rank)), glorot(IMAGES, rank)),
            "right": ((int(rank), PIXELS), glorot(rank, PIXELS)),
        }),
    )  # fmt: skip


@functools.cache
def product_of(depth: int) -> Callable[..., Any]:
    """The gap of a deep linear network; one function object for all widths and instances."""

    def objective(x, data, parameters):
        layers = [x[f"layer_{i}"] for i in range(depth)]
        rest = functools.reduce(_product, layers[1:])
        return _gap(_product(data["root"], layers[0]), rest, data)

    return objective


@functools.cache
def reduced_rank(width: int, instance: int) -> dict[str, Any]:
    """The closed form of 1/(2 n) |Y - A W|^2 over matrices W of that rank, for images A and labels Y, both centred.

    With A/sqrt(n) = Q R it is 1/2 |Q^T Y/sqrt(n) - R W|^2 and a constant, and is least where R W is the truncated
    Q^T Y/sqrt(n).
    """
    images, classes = datasets.table("digits")
    train, held_out = datasets.split(ROWS, instance)
    labels = datasets.one_hot(classes, CLASSES)
    images, labels = images - images[train].mean(axis=0), labels - labels[train].mean(axis=0)
    parts = []
    for part in (train, held_out):
        a, y = images[part] / np.sqrt(len(part)), labels[part] / np.sqrt(len(part))
        u, values, vt = np.linalg.svd(a, full_matrices=False)
        # Pixels that are blank in all of these images make singular values 0. Their rows are kept, as zeros: all
        # instances have arrays of one shape.
        u = np.where(values > 1e-12 * values[0], u, 0.0)
        root, target = u.T @ a, u.T @ y
        parts.append((root, target, 0.5 * float(np.sum((y - u @ target) ** 2))))
    (root, target, constant), (unseen_root, unseen_target, unseen_constant) = parts
    cut = truncated(target, min(width, CLASSES))
    least = constant + 0.5 * float(np.sum(cut.rest**2))
    known = {"root": root, "best": cut.best, "rest": cut.rest, "left": cut.left, "right": cut.right}
    # For other rows nothing is cut off: there is one term, and no spaces to be outside of.
    unseen = {"root": unseen_root, "best": unseen_target, "rest": np.zeros_like(unseen_target)}
    unseen |= {"left": np.zeros((len(unseen_target), 1)), "right": np.zeros((CLASSES, 1))}
    datasets.frozen(*known.values(), *unseen.values())
    return {
        "cut": cut, "least": least, "data": known | {"excess": np.zeros(())},
        "held_out": unseen | {"excess": np.asarray(unseen_constant - least)},
    }  # fmt: skip


@problem_family()
def deep_linear(depth: int = 3, width: int = 4, instance: int = 0) -> Problem:
    """Half the mean squared error of a deep linear network from images of digits to their labels, both centred.

    x is {"layer_0": [64, width], "layer_1": [width, width], ..., the last [width, 10]}. Below width 9 it is a
    reduced-rank regression, whose minimum is known in closed form. A fifth of the 1,797 rows is held out.

    Args:
        depth: number of matrices, at least 2; layers are named by one digit, so at most 10.
        width: columns between them; 9 or more leave the rank free.
        instance: seed of the split.
    """
    name = "deep_linear"
    refuse(
        whole_number(name, "depth", depth, 2, 10)
        + whole_number(name, "width", width, 1, 64)
        + whole_number(name, "instance", instance, 0)
    )
    known = reduced_rank(int(width), int(instance))
    sizes = [PIXELS, *[int(width)] * (depth - 1), CLASSES]
    shapes = list(zip(sizes, sizes[1:], strict=False))
    return Problem(
        name=name,
        objective=product_of(int(depth)),
        formula=f"1/(2 n) |Y - A W_1 ... W_{depth}|_F^2, n = {ROWS - ROWS // datasets.HELD_OUT_SHARE}",
        source="Izenman, Journal of Multivariate Analysis 5 (1975) 248-264; Saxe, McClelland and Ganguli, ICLR 2014; "
        f"no local minima that are not global: Kawaguchi, NIPS 2016; {datasets.SOURCES['digits']}",
        minimum=known["least"],
        offset=known["least"],
        convex=False,
        notes="all weights 0 is a saddle, flat to second order from depth 3; minimizers come in whole families",
        data=known["data"],
        held_out=known["held_out"],
        **initialised({f"layer_{i}": (shape, glorot(*shape)) for i, shape in enumerate(shapes)}),
    )
