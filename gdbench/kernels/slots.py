"""Where the numbers of a loop stand: what a lane carries and what its steps are given, in as few arrays as it takes.

LLVM vectorizes a loop whose arrays it can check for overlaps, each against each, so there must be few of them where it
is not told to check many (``compiler``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from gdbench.kernels.compiler import pairs_checked


class Value(NamedTuple):
    """What steps are given in one slot: for each lane (``column``), for each of the steps (``row``), or nothing."""

    dtype: Any
    column: Any = None
    row: Any = None

    @classmethod
    def of(cls, atoms: Sequence[Any]) -> Value:
        """What is given from step to step: one vector of lanes, or a number a step."""
        first = jnp.asarray(atoms[0])
        dtype = stored_as(first.dtype)
        if first.ndim:
            return cls(dtype, column=first.astype(dtype))
        return cls(dtype, row=jnp.stack([jnp.asarray(a).astype(dtype) for a in atoms]))


class Places(NamedTuple):
    """The slots of the atoms of something that is given, or numbers that are known, and its shape."""

    shape: tuple[int, ...]
    atoms: list[Any]


class Form(NamedTuple):
    """How numbers stand in arrays: two reals as one complex number where ``paired``, what is carried in rows of one
    array a type where ``packed``.
    """

    paired: bool
    packed: bool

    @classmethod
    def of(cls, dtypes: Sequence[Any], columns: int) -> Form | None:
        """The form for so many numbers and vectors given in which LLVM checks no more arrays than it is willing to."""
        kinds = len(set(dtypes))
        for form in (cls(False, False), cls(False, True), cls(True, True)):
            groups = len(form.groups(dtypes))
            n = groups + 1
            if n * (n - 1) // 2 + n * ((kinds if form.packed else groups) + columns + kinds) <= pairs_checked():
                return form
        return None

    def groups(self, dtypes: Sequence[Any]) -> list[tuple[int, ...]]:
        """Which numbers stand in an array together."""
        found: list[tuple[int, ...]] = []
        for kind in dict.fromkeys(dtypes):
            same = [i for i, dtype in enumerate(dtypes) if dtype == kind]
            size = 2 if self.paired and kind.kind == "f" else 1
            found += [tuple(same[i : i + size]) for i in range(0, len(same), size)]
        return found


def join(atoms: Any, group: tuple[int, ...]) -> Any:
    """The number, or the two as a complex one."""
    return atoms[group[0]] if len(group) == 1 else lax.complex(atoms[group[0]], atoms[group[1]])


def split(stored: Sequence[Any], groups: Sequence[tuple[int, ...]]) -> list[Any]:
    """The numbers in their order."""
    atoms: dict[int, Any] = {}
    for value, group in zip(stored, groups, strict=True):
        atoms |= {group[0]: value} if len(group) == 1 else {group[0]: lax.real(value), group[1]: lax.imag(value)}
    return [atoms[i] for i in range(len(atoms))]


def cut(length: int, most: int) -> tuple[int, list[int], list[int]]:
    """Steps of a trip of a loop, the reductions in it, and those after it: none of more than ``most`` steps, and few of
    a single one, which takes longer than two.
    """

    def parts(steps: int) -> list[int]:
        count = -(-steps // most)
        return [steps // count + (i < steps % count) for i in range(count)]

    whole = (d for d in range(most, 4 * most) if length % d == 0 and (most == 1 or min(parts(d)) > 1))
    each = next(whole, most)
    return each, parts(each), [length % each] if length % each else []


def stored_as(dtype: Any) -> Any:
    """The type in which a number is carried: truth values as whole numbers."""
    return np.dtype(np.int32) if np.dtype(dtype).kind == "b" else np.dtype(dtype)


def restored(atom: Any, dtype: Any) -> Any:
    """The number in its own type."""
    return atom != 0 if np.dtype(dtype).kind == "b" and np.dtype(atom.dtype).kind != "b" else atom


def places_of(values: Sequence[Value]) -> dict[int, int]:
    """Where the numbers of a slot stand among those of its type."""
    seen: dict[Any, int] = {}
    places = {}
    for i, value in enumerate(values):
        if value.row is not None:
            places[i] = seen[value.dtype] = seen.get(value.dtype, -1) + 1
    return places


def stacked(values: Sequence[Value]) -> dict[str, Any]:
    """The numbers that steps are given, [slots, steps] of each type: fewer arrays for LLVM to check."""
    kinds = dict.fromkeys(v.dtype for v in values if v.row is not None)
    return {str(kind): jnp.stack([v.row for v in values if v.row is not None and v.dtype == kind]) for kind in kinds}
