"""Steps of a block of lanes in one loop: what a lane carries stays in registers for some steps.

XLA's code for a CPU computes each result of an elementwise program in a loop of its own, over again what the results
have in common. A reduction of several arrays is different: it has several results and one loop. So here some steps are
written as a reduction of the rows [1 + steps, lanes]: the first row brings what is carried, the others what a step is
given, and the operator makes of both the next state. A loop over so few rows is unrolled, and the one over lanes is
then vectorized: 2 to 5 times as fast as a loop for each result.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

from gdbench.kernels import lanes
from gdbench.kernels.compiler import jit
from gdbench.kernels.elements import Elements, join_lanes, read, run_equations, shaped, split_lanes
from gdbench.kernels.slots import Form, Places, Value, cut, join, places_of, restored, split, stacked, stored_as

UNROLLED = 280
"""Operations of the operator times rows up to which LLVM unrolls the loop over rows (its threshold is 300)."""

MOST_STEPS = 3
"""Steps of a reduction: with more of them, each waits for the one before longer than is saved."""

LANES = 64
"""Lanes with which XLA is tried."""


class Plan(NamedTuple):
    """The body of a loop, taken apart.

    Attributes:
        early: equations that the constants decide, ``shared`` those that no lane changes, ``own`` the others.
        given: what ``own`` reads and does not compute, without what is carried: variables, and ("inverse", variable)
            where vectors are divided by one number.
        which: which parts of what is carried differ between lanes.
        operations: of ``own``, elements counted one by one.
    """

    early: list[Any]
    shared: list[Any]
    own: list[Any]
    given: list[Any]
    which: list[bool]
    operations: int


def walk(body: Callable[[Any], Any], first: Any, length: int) -> Any:
    """``body`` applied so many times. Under ``vmap`` the lanes of a block go together, in one loop of their own.

    Raises:
        NoLaneRule: under ``vmap``, if the body holds a primitive that has no rule.
    """
    leaves, tree = jax.tree.flatten(first)
    closed = jax.make_jaxpr(body)(first)
    moves = [a is not b for a, b in zip(closed.jaxpr.invars, closed.jaxpr.outvars, strict=True)]
    held = _those(leaves, moves, False)
    inner, consts = loop_body(closed.jaxpr, moves), [*closed.consts, *held]

    @jax.custom_batching.custom_vmap
    def run(consts: Any, moving: Any) -> Any:
        held = consts[len(closed.consts) :]

        def step(_: Any, moving: Any) -> Any:
            whole = _merged(moves, moving, held)
            out = jaxpr_as_fun(ClosedJaxpr(closed.jaxpr, consts[: len(closed.consts)]))(*whole)
            return _those(out, moves, True)

        return lax.fori_loop(0, length, step, moving)

    @run.def_vmap
    def of_block(width: int, batched: Any, consts: Any, leaves: Any) -> Any:
        plan = planned(inner, *batched)
        return _Block(inner, plan, width, batched, consts).run(leaves, length), plan.which

    return jax.tree.unflatten(tree, _merged(moves, run(consts, _those(leaves, moves, True)), held))


def _those(items: Sequence[Any], flags: Sequence[bool], wanted: bool) -> list[Any]:
    return [item for item, flag in zip(items, flags, strict=True) if flag == wanted]


def _merged(flags: Sequence[bool], yes: Sequence[Any], no: Sequence[Any]) -> list[Any]:
    """The items in their order, from those that are flagged and the others."""
    one, other = iter(yes), iter(no)
    return [next(one if flag else other) for flag in flags]


class Body(NamedTuple):
    """The parts of a jaxpr, by the names they have there."""

    constvars: list[Any]
    invars: list[Any]
    outvars: list[Any]
    eqns: list[Any]


def loop_body(jaxpr: Any, moves: Sequence[bool]) -> Body:
    """The body of a loop; those of its arguments are constants that are not carried: ``moves`` says which are."""
    constants = [*jaxpr.constvars, *_those(jaxpr.invars, moves, False)]
    return Body(constants, _those(jaxpr.invars, moves, True), _those(jaxpr.outvars, moves, True), jaxpr.eqns)


def fits(body: Callable[[Any], Any], first: Any) -> bool:
    """Whether a step of a body is one reduction, though all of it were to depend on the lane."""
    equations, _ = lanes.needed(jax.make_jaxpr(body)(first).jaxpr)
    operations, atoms = sum(map(lanes.operations_of, equations)), sum(a.size for a in jax.tree.leaves(first))
    return 2 * (operations + atoms) <= UNROLLED and in_order()


@functools.cache
def in_order() -> bool:
    """Whether XLA reduces rows one after the other, from the initial values on: it does, and promises nothing."""
    rows = np.arange(2 * MOST_STEPS * LANES, dtype=np.float32).reshape(2 * MOST_STEPS, LANES)

    def operator(so_far: Any, row: Any) -> list[Any]:
        return [so_far[0] / 2 + row[0], row[1]]

    with jax.ensure_compile_time_eval():
        found = jit(lambda *rows: lax.reduce(list(rows), [np.float32(1), np.float32(0)], operator, (0,)))(rows, rows)
    exact = functools.reduce(lambda so_far, row: so_far / 2 + row, rows, np.ones(LANES, np.float32))
    return np.array_equal(found[0], exact) and np.array_equal(found[1], rows[-1])


def planned(jaxpr: Any, consts: Sequence[bool], carried: Sequence[bool]) -> Plan:
    """The equations of a body, given which of its constants and of what is carried differ between lanes."""
    which = lanes.batched_carry(jaxpr, consts, carried, ())
    flags = zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *which], strict=True)
    differs, known = {v for v, flag in flags if flag}, set(jaxpr.constvars)
    early, shared, own = [], [], []
    for eqn in lanes.needed(jaxpr)[0]:
        inputs = {v for v in eqn.invars if not isinstance(v, Literal)}
        differs.update(eqn.outvars if inputs & differs else ())
        if inputs <= known:
            known.update(eqn.outvars)
            early.append(eqn)
        else:
            (own if inputs & differs else shared).append(eqn)
    inside = {v for eqn in own for v in eqn.outvars} | {v for v, b in zip(jaxpr.invars, which, strict=True) if b}
    reads: list[Any] = [v for v, b in zip(jaxpr.outvars, which, strict=True) if b]
    for eqn in own:
        reads += [("inverse", v) if _is_divisor(eqn, i, differs) else v for i, v in enumerate(eqn.invars)]
    given = [v for v in dict.fromkeys(v for v in reads if not isinstance(v, Literal)) if v not in inside]
    operations = sum(lanes.operations_of(eqn) for eqn in own)
    return Plan(early, shared, own, given, which, operations)


def _is_divisor(eqn: Any, i: int, differs: set[Any]) -> bool:
    """Whether an operand is a number that vectors are divided by: one division for all lanes, as elsewhere."""
    divides = i == 1 and eqn.primitive.name == "div" and eqn.outvars[0].aval.dtype.kind == "f"
    return divides and not isinstance(eqn.invars[1], Literal) and eqn.invars[1] not in differs


def _run_own(equations: Sequence[Any], env: dict[Any, Any]) -> None:
    """Evaluate equations in their order, divisions by what has an inverse as products."""
    for eqn in equations:
        divides = eqn.primitive.name == "div" and not isinstance(eqn.invars[1], Literal)
        inverse = env.get(("inverse", eqn.invars[1])) if divides else None
        if inverse is None:
            run_equations([eqn], env)
        else:
            divided = read(env, eqn.invars[0])
            both = zip(divided.flat, np.broadcast_to(inverse, divided.shape).flat, strict=True)
            env[eqn.outvars[0]] = shaped((a * b for a, b in both), eqn.outvars[0].aval.shape)


class _Block:
    """A loop over a block of lanes, with its constants."""

    def __init__(self, jaxpr: Any, plan: Plan, width: int, batched: Any, consts: Sequence[Any]) -> None:
        self.jaxpr, self.plan, self.width, self.known = jaxpr, plan, width, batched[1]
        self.env: dict[Any, Any] = {
            v: split_lanes(jnp.asarray(c), b) for v, c, b in zip(jaxpr.constvars, consts, batched[0], strict=True)
        }
        run_equations(plan.early, self.env)
        self.dtypes = [
            stored_as(v.aval.dtype) for v in _those(jaxpr.invars, plan.which, True) for _ in range(v.aval.size)
        ]

    def run(self, leaves: Sequence[Any], length: int) -> list[Any]:
        """What is carried after so many steps, leaf by leaf."""
        own, shared = [], []
        for leaf, known, b in zip(leaves, self.known, self.plan.which, strict=True):
            atoms = split_lanes(leaf, known).flat
            (own if b else shared).extend(self._spread(a, leaf.dtype) if b else a for a in atoms)
        self.values, self.places, _ = self._given(shared, 1)
        form = Form.of([v.dtype for v in self.values], sum(v.column is not None for v in self.values))
        if form is None or 2 * (self.plan.operations + len(self.values)) > UNROLLED or not in_order():
            own, shared = lax.fori_loop(0, length, self._by_results, (own, shared))
            return self._joined(own, shared)
        self.form = form
        most = UNROLLED // (self.plan.operations + len(self.values)) - 1
        each, parts, rest = cut(length, max(1, min(MOST_STEPS, most, length)))

        def ahead(shared: list[Any]) -> tuple[list[Any], Any]:
            values, _, after = self._given(shared, each)
            return after, stacked(values)

        def trip(_: Any, carry: Any) -> Any:
            stored, _, after, numbers = carry
            # The numbers that steps are given are computed a trip before: XLA then has them in memory, and does not
            # write their computation into the loop over lanes.
            return self._reduced(stored, numbers, parts), after, *ahead(after)

        groups = self.form.groups(self.dtypes)
        carry = [join(own, g) for g in groups], shared, *ahead(shared)
        stored, shared, _, numbers = lax.fori_loop(0, length // each, trip, carry)
        stored = self._reduced(stored, numbers, rest)
        return self._joined(split(stored, groups), self._given(shared, sum(rest))[2])

    def _joined(self, own: list[Any], shared: list[Any]) -> list[Any]:
        """What is carried, leaf by leaf, from its atoms."""
        bound = self._bound(own, True) | self._bound(shared, False)
        return [
            join_lanes(bound[var], self.width, var.aval.dtype, b)
            for var, b in zip(self.jaxpr.invars, self.plan.which, strict=True)
        ]

    def _by_results(self, _: Any, carry: tuple[list[Any], list[Any]]) -> tuple[list[Any], list[Any]]:
        """One step, each of its results in a loop of its own."""
        env = self.env | self._bound(carry[0], True) | self._bound(carry[1], False)
        run_equations([*self.plan.shared, *self.plan.own], env)
        return self._results(env, True), self._results(env, False)

    def _reduced(self, stored: list[Any], numbers: dict[str, Any], parts: Sequence[int]) -> list[Any]:
        """What is carried after as many more steps as each of these reductions takes."""
        begin = 0
        for count in parts:
            rows = {name: whole[:, begin : begin + count] for name, whole in numbers.items()}
            stored, begin = self._steps(stored, rows, count), begin + count
        return stored

    def _spread(self, atom: Any, dtype: Any) -> Any:
        return jnp.broadcast_to(jnp.asarray(atom, dtype).astype(stored_as(dtype)), (self.width,))

    def _bound(self, atoms: Sequence[Any], differ: bool) -> dict[Any, Elements]:
        """What is carried, by its variables, from the atoms of what does, or does not, differ between lanes."""
        left = iter(atoms)
        return {
            var: shaped((restored(next(left), var.aval.dtype) for _ in range(var.aval.size)), var.aval.shape)
            for var in _those(self.jaxpr.invars, self.plan.which, differ)
        }

    def _results(self, env: dict[Any, Any], differ: bool) -> list[Any]:
        """The atoms of the next state that do, or do not, differ between lanes."""
        return [
            jnp.asarray(atom, var.aval.dtype).astype(stored_as(var.aval.dtype)) if differ else atom
            for var in _those(self.jaxpr.outvars, self.plan.which, differ)
            for atom in read(env, var).flat
        ]

    def _given(self, shared: list[Any], count: int) -> tuple[list[Value], list[Places], list[Any]]:
        """What ``count`` steps are given, by slots, the first of which are those of what is carried, of the same types;
        the slots of the atoms of each of ``plan.given``; and what no lane changes, after these steps.
        """
        given: list[list[Elements]] = []
        for _ in range(count):
            env = self.env | self._bound(shared, False)
            run_equations(self.plan.shared, env)
            given.append([_read(env, key) for key in self.plan.given])
            shared = self._results(env, False)
        values, places = [Value(dtype) for dtype in self.dtypes], []
        for steps in zip(*given, strict=True):
            places.append(Places(steps[0].shape, []))
            for atoms in zip(*(value.flat for value in steps), strict=True):
                if isinstance(atoms[0], np.generic):
                    places[-1].atoms.append(atoms[0])
                    continue
                value = Value.of(atoms)
                free = (i for i, v in enumerate(values) if v.column is None is v.row and v.dtype == value.dtype)
                at = next(free, len(values))
                values[at : at + 1] = [value]
                places[-1].atoms.append(at)
        return values, places, shared

    def _steps(self, stored: list[Any], numbers: dict[str, Any], count: int) -> list[Any]:
        """What is carried after ``count`` more steps, by one reduction over rows: what is carried, then the steps."""
        groups = self.form.groups(self.dtypes)
        n, every = len(groups), [*groups, *self._more_groups()]
        rows = self._rows(self._packed(stored), numbers, every, count)

        def operator(so_far: Any, row: Any) -> list[Any]:
            env: dict[Any, Any] = {**self._bound(split(so_far[:n], groups), True)}
            told = split(row[:-1], every)
            for key, place in zip(self.plan.given, self.places, strict=True):
                dtype = (key[1] if isinstance(key, tuple) else key).aval.dtype
                atoms = (a if isinstance(a, np.generic) else restored(told[a], dtype) for a in place.atoms)
                env[key] = shaped(atoms, place.shape)
            _run_own(self.plan.own, env)
            results = self._results(env, True)
            after = [*(join(results, g) for g in groups), *so_far[n:-1]]
            brought = row[-1] == 0
            return [*(lax.select(brought, old, new) for old, new in zip(row[:-1], after, strict=True)), row[-1]]

        zeros = [np.zeros((), a.dtype) for a in rows]
        # Results that nothing reads would be taken out again, after a search that takes exponentially long.
        return list(lax.optimization_barrier(tuple(lax.reduce(rows, zeros, operator, (0,))))[:n])

    def _more_groups(self) -> list[tuple[int, ...]]:
        """The groups of the slots in which nothing is carried."""
        n = len(self.dtypes)
        return [tuple(i + n for i in group) for group in self.form.groups([v.dtype for v in self.values[n:]])]

    def _rows(self, stored: list[Any], numbers: dict[str, Any], groups: list[tuple[int, ...]], count: int) -> list[Any]:
        """The operands: rows of what is carried and of what the steps are given, and the number of the row."""
        size, places = (count, self.width), places_of(self.values)

        def given(i: int) -> Any:
            value = self.values[i]
            if value.column is not None:
                return lax.broadcast_in_dim(value.column, size, (1,))
            if value.row is None:
                return jnp.zeros(size, value.dtype)
            return lax.broadcast_in_dim(numbers[str(value.dtype)][places[i]], size, (0,))

        operands = []
        for at, group in enumerate(groups):
            if not any(self.values[i].column is not None or self.values[i].row is not None for i in group):
                operands.append(lax.broadcast_in_dim(stored[at], (count + 1, self.width), (1,)))
                continue
            now = join({i: given(i) for i in group}, group)
            before = stored[at][None] if at < len(stored) else jnp.zeros((1, self.width), now.dtype)
            # No choice by the row's number, which XLA would take out of the loop, and LLVM then no longer knows.
            operands.append(lax.concatenate([before, now], 0))
        return [*operands, lax.broadcasted_iota(np.int32, (count + 1, self.width), 0)]

    def _packed(self, stored: list[Any]) -> list[Any]:
        """What is carried, as rows of one array a type if that is its form."""
        if not self.form.packed:
            return stored
        rows: dict[int, Any] = {}
        for dtype in dict.fromkeys(a.dtype for a in stored):
            same = [i for i, a in enumerate(stored) if a.dtype == dtype]
            whole = lax.optimization_barrier(jnp.stack([stored[i] for i in same]))
            rows |= {i: whole[j] for j, i in enumerate(same)}
        return [rows[i] for i in range(len(stored))]


def _read(env: dict[Any, Any], key: Any) -> Elements:
    """What ``Plan.given`` names."""
    if not isinstance(key, tuple):
        return read(env, key)
    value = read(env, key[1])
    return shaped((1 / jnp.asarray(a, key[1].aval.dtype) for a in value.flat), value.shape)
