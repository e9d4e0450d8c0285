"""The engine ``native``: whole descents of a group of lanes as machine code for a CPU, which keeps them in registers.

The program is that of the engine ``fused``: chunks of steps of which only the reach is kept, gone through again and
judged point by point where something happens in any lane of the group. Its jaxpr, element by element, is written as
LLVM instructions on vectors of lanes (``vectors``) and compiled within some tenths of a second, for no compiler has to
find out any more what may be done at once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gdbench.kernels import fused, llvm, vectors
from gdbench.kernels.chunks import Given, Steps
from gdbench.kernels.descent import Descent
from gdbench.kernels.elements import ELEMENTWISE, shaped
from gdbench.kernels.fused import Launch, Program
from gdbench.kernels.instructions import Writer

MISSING = vectors.missing(ELEMENTWISE)
"""Elementwise primitives that have no instructions here."""

MOST_OPERATIONS = 1200
"""Operations of a step, which is compiled several times over."""


MOST_MINIMIZERS = 1000
"""Coordinates of known minimizers: the distance to each of them is written out."""


def refusal(descent: Descent) -> str | None:
    """Why the engine does not serve a descent, or None."""
    why = llvm.refusal() or fused.refused_by(descent, MISSING, "no instructions for", MOST_OPERATIONS)
    known = 0 if descent.problem.minimizers is None else np.size(descent.problem.minimizers)
    return why or (f"{known} coordinates of minimizers, over {MOST_MINIMIZERS}" if known > MOST_MINIMIZERS else None)


class Rounded(Steps):
    """Steps whose values are rounded before anything is made of them, however the steps are written out."""

    def rounded(self, value: Any) -> Any:
        """The value itself, which no sum is contracted with."""
        info = jnp.finfo(value.dtype)
        return lax.reduce_precision(value, info.nexp, info.nmant)


class Group(NamedTuple):
    """What a group of lanes does.

    Attributes:
        program: the jaxpr, from a vector or number for each element of the arguments to those of the results.
        differ: for each leaf of the arguments whether lanes differ.
        results: shapes and types of one lane's record.
    """

    program: Any
    differ: list[bool]
    results: dict[str, Any]


def group_program(descent: Descent, given: Given, width: int, at_once: bool = True) -> Group:
    """The descents of so many lanes, whose arguments have these shapes."""
    program = Program(descent, given, Rounded)
    leaves = jax.tree.leaves(given)

    def descend(*atoms: Any) -> list[Any]:
        left = iter(atoms)
        arguments = [shaped([next(left) for _ in range(leaf.size)], leaf.shape) for leaf in leaves]
        ends = fused._descend(program, arguments, width, Launch(unroll=1, at_once=at_once))
        records = program.finish.prepare(arguments)(*ends)
        return fused.all_differ(program.finish.shape).atoms(records, width)

    atoms = [
        jax.ShapeDtypeStruct((width,) if differs else (), leaf.dtype)
        for leaf, differs in zip(leaves, program.differ, strict=True)
        for _ in range(leaf.size)
    ]
    return Group(jax.make_jaxpr(descend)(*atoms), program.differ, program.finish.shape)


def machine_code(group: Group, width: int, dtype: Any) -> bytes:
    """The machine code of a group's program."""
    return llvm.object_code(vectors.write_module(Writer(width, dtype, llvm.host()), group.program))


WORDS_IN_REGISTERS = 24
"""Numbers of a lane's state up to which two registers of lanes are worked on at once: their operations do not wait for
each other, and most of what they carry stays in registers. More of them take longer to compile and are no faster."""


def group_lanes(descent: Descent, dtype: Any) -> int:
    """Lanes of a group, by problem, optimizer, dtype and the size of a register."""
    registers = 2 if descent.problem.dim + descent.facts.words <= WORDS_IN_REGISTERS else 1
    return registers * llvm.host().bits // (8 * np.dtype(dtype).itemsize)


PAYS_UP_TO = 600
"""Operations of a step beyond which compiling it takes longer than it saves. Below, it takes as long as the other
engines take for a short descent, half as long for a long one, and every step is faster."""


def pays(descent: Descent) -> bool:
    """Whether a descent that it serves is best run by it."""
    return descent.facts.operations <= PAYS_UP_TO
