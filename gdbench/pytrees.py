"""Pytrees of numbers: starts and data as they are given, and as vectors and NumPy arrays."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

from gdbench.errors import SuiteError
from gdbench.grid import as_starts
from gdbench.lazy import jax


def form_of(x0: Any, name: str) -> tuple[Any, np.ndarray]:
    """The template of a pytree (None for a vector), and the start as a vector [dim]."""
    if not is_tree(x0):
        points = points_of(x0)
        if len(points) > 1:
            raise SuiteError([f"{name}: x0 must be one start [dim], got {len(points)}: several go to gd.sweep"])
        return None, points[0]
    tree = as_arrays(x0, name, "x0", float)
    start = ravel(tree)
    if not start.size:
        raise SuiteError([f"{name}: x0 holds no numbers"])
    return jax.tree.map(lambda leaf: np.zeros(np.shape(leaf)), tree), points_of(start)[0]


def is_tree(x0: Any) -> bool:
    """Whether a start is a pytree: a dict, a tuple of arrays, a named tuple, a registered class; no list of points."""
    if isinstance(x0, Mapping) or hasattr(x0, "_fields"):
        return True
    if isinstance(x0, (list, tuple)):
        return any(is_tree(item) or (isinstance(x0, tuple) and hasattr(item, "shape")) for item in x0)
    if isinstance(x0, (numbers.Number, str)) or hasattr(x0, "__array__"):
        return False
    return not jax.tree_util.treedef_is_leaf(jax.tree.structure(x0))


def points_of(x0: Any) -> np.ndarray:
    """Starts [n, dim] from one start or several."""
    try:
        points = np.atleast_2d(np.asarray(x0, float))
    except (TypeError, ValueError):
        raise SuiteError([f"x0 must hold numbers, one row a start, got {x0!r}"]) from None
    if points.ndim != 2 or not points.size:
        raise SuiteError([f"x0 must be one start [dim] or several [n, dim], got shape {np.shape(x0)}"])
    return np.array(as_starts(points).points)


def ravel(tree: Any) -> np.ndarray:
    """The leaves of a pytree one after the other, as the kernels lay them out."""
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)] or [np.zeros(0)])


def as_arrays(tree: Any, name: str, what: str, kind: Any = None) -> Any:
    """The pytree with NumPy arrays for leaves; a list of numbers is one array, as in a suite file."""
    if isinstance(tree, Mapping) and jax.tree_util.treedef_is_leaf(jax.tree.structure(tree)):
        tree = dict(tree)  # a mapping that JAX does not know

    def array(path: Any, leaf: Any) -> np.ndarray:
        try:
            made = np.asarray(leaf, kind)
        except (TypeError, ValueError):
            made = np.empty(0, object)
        if made.dtype.kind not in "fiub":
            raise SuiteError([f"{name}: {what}{jax.tree_util.keystr(path)} must hold numbers, got {short(leaf)}"])
        return made

    return jax.tree_util.tree_map_with_path(array, tree, is_leaf=_is_list_of_numbers)


def _is_list_of_numbers(node: Any) -> bool:
    if not isinstance(node, list) or not node:
        return False
    return all(isinstance(item, numbers.Number) or _is_list_of_numbers(item) for item in node)


def rows_of(name: str, data: Any) -> int:
    """The common leading length of all leaves."""
    leaves = [(f"data{jax.tree_util.keystr(path)}", leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(data)]
    hint = "with batch= the leading axis of every leaf counts the rows"
    for place, leaf in leaves:
        if not leaf.ndim:
            raise SuiteError([f"{name}: {place} is a single number: {hint}; make it an argument with a default"])
    first, rows = leaves[0][0], len(leaves[0][1])
    for place, leaf in leaves:
        if len(leaf) != rows:
            raise SuiteError([f"{name}: {first} has {rows} rows and {place} {len(leaf)}: {hint}"])
    return rows


def short(value: Any) -> str:
    """A value for an error message, on one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "…"
