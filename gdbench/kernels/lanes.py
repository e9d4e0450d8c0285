"""The engine ``lanes``: the steps of a low-dimensional descent as one elementwise program over the lanes of a block.

What does not depend on the lane stays a scalar (step counters, problem data), and what does not depend on the step is
computed once, before the loop.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

from gdbench.kernels.elements import (
    CALLS,
    CUMULATIVE,
    ELEMENTWISE,
    MOST_UNROLLED,
    REDUCTIONS,
    RULES,
    Elements,
    NoLaneRule,
    instead,
    join_lanes,
    read,
    run_equations,
    shaped,
    split_lanes,
)


def _split_known(jaxpr: Any) -> tuple[list[Any], list[Any]]:
    """Equations that the constants alone decide, and the others."""
    known, first, later = set(jaxpr.constvars), [], []
    for eqn in jaxpr.eqns:
        if all(isinstance(v, Literal) or v in known for v in eqn.invars) and not eqn.effects:
            known.update(eqn.outvars)
            first.append(eqn)
        else:
            later.append(eqn)
    return first, later


class Stage(NamedTuple):
    """What becomes of the state after some steps: ``yes(emitted, state)`` where ``when(emitted, state)`` holds in all
    lanes of the block, else ``no(emitted, state)``; always ``yes`` without a question.
    """

    yes: Callable[[Any, Any], Any]
    when: Callable[[Any, Any], Any] | None = None
    no: Callable[[Any, Any], Any] | None = None


class _Staged:
    """Stages as jaxprs of one lane, for what is emitted and a state of some shape."""

    def __init__(self, stages: Sequence[Stage], emitted: Any, state: Any) -> None:
        self.programs: list[list[Any]] = []
        for stage in stages:
            self.programs.append([])
            for function in filter(None, (stage.when, stage.no, stage.yes)):
                program, out = jax.make_jaxpr(function, return_shape=True)(emitted, state)
                self.programs[-1].append(program)
            state = out
        self.every = [program for stage in self.programs for program in stage]
        self.consts = [list(program.consts) for program in self.every]
        self.structure = jax.tree.structure(state)

    def _through(self, rows: Any, state: Any, call: Callable[..., Any]) -> Any:
        """The state after the stages; ``call(i, rows, state)`` gives what each program makes of it."""
        count = itertools.count()
        for stage in self.programs:
            *asked, last = [functools.partial(call, next(count)) for _ in stage]
            if asked:
                question, otherwise = asked
                state = lax.cond(question(rows, state)[0], last, otherwise, rows, state)
            else:
                state = last(rows, state)
        return state

    def of_lane(self, consts: Any, rows: Any, state: Any) -> Any:
        """What they make of the state of one lane."""

        def call(i: int, rows: Any, state: Any) -> Any:
            return jaxpr_as_fun(ClosedJaxpr(self.every[i].jaxpr, consts[i]))(*rows, *state)

        return self._through(rows, state, call)

    def of_block(self, lanes: int, batched: Any, consts: Any, rows: Any, state: Any) -> tuple[Any, list[bool]]:
        """Of a block, with rows [steps, lanes, …]; ``batched``: which constants and states differ between lanes."""
        differs = _differing(self.programs, *batched)

        def call(i: int, rows: Any, state: Any) -> Any:
            def one(consts: Any, rows: Any, state: Any) -> Any:
                return jaxpr_as_fun(ClosedJaxpr(self.every[i].jaxpr, consts))(*rows, *state)

            before, after = differs[i]
            axes = [[0 if b else None for b in flags] for flags in (batched[0][i], before, after)]
            block = jax.vmap(one, in_axes=(axes[0], 1, axes[1]), out_axes=axes[2], axis_size=lanes)
            return block(consts[i], rows, state)

        return self._through(rows, state, call), differs[-1][1]


def scan(
    body: Callable[[Any, None], tuple[Any, Any]], first: Any, length: int, stages: Sequence[Stage], state: Any,
    by_elements: bool,
) -> tuple[Any, Any]:  # fmt: skip
    """``last, emitted = lax.scan(body, first, None, length)``; gives last, and what the stages make of the state.

    Under ``vmap`` the lanes of a block go through it together: one branch of a stage runs, what is emitted has the
    steps first and the lanes second, and the body runs element by element if asked to.

    Raises:
        NoLaneRule: under ``vmap`` by elements, if the body holds a primitive that has no rule here.
    """
    closed, out = jax.make_jaxpr(body, return_shape=True)(first, None)
    leaves, tree = jax.tree.flatten(first)
    staged = _Staged(stages, jax.tree.map(lambda a: jax.ShapeDtypeStruct((length, *a.shape), a.dtype), out[1]), state)

    @jax.custom_batching.custom_vmap
    def run(body_consts: Any, leaves: Any, consts: Any, state: Any) -> Any:
        def step(carry: Any, _: None) -> Any:
            out = jaxpr_as_fun(ClosedJaxpr(closed.jaxpr, body_consts))(*carry)
            return out[: len(leaves)], out[len(leaves) :]

        last, rows = lax.scan(step, leaves, None, length=length)
        return last, staged.of_lane(consts, rows, state)

    @run.def_vmap
    def of_block(lanes: int, batched: Any, body_consts: Any, leaves: Any, consts: Any, state: Any) -> Any:
        scan_block = _scan_elements if by_elements else _scan_arrays
        last, which, rows = scan_block(closed.jaxpr, lanes, batched, body_consts, leaves, length)
        out, differs = staged.of_block(lanes, batched[2:], consts, rows, state)
        return (last, out), (which, differs)

    last, out = run(list(closed.consts), leaves, staged.consts, jax.tree.leaves(state))
    return jax.tree.unflatten(tree, last), jax.tree.unflatten(staged.structure, out)


def tell(emitted: Any, stages: Sequence[Stage], state: Any) -> Any:
    """What the stages make of the state after steps that emitted this; under ``vmap`` of the block together."""
    staged = _Staged(stages, emitted, state)

    @jax.custom_batching.custom_vmap
    def run(rows: Any, consts: Any, state: Any) -> Any:
        return staged.of_lane(consts, rows, state)

    @run.def_vmap
    def of_block(lanes: int, batched: Any, rows: Any, consts: Any, state: Any) -> Any:
        both = zip(rows, batched[0], strict=True)
        rows = [jnp.moveaxis(a, 0, 1) if b else jnp.broadcast_to(a[:, None], (len(a), lanes)) for a, b in both]
        return staged.of_block(lanes, batched[1:], consts, rows, state)

    out = run(jax.tree.leaves(emitted), staged.consts, jax.tree.leaves(state))
    return jax.tree.unflatten(staged.structure, out)


def _differing(programs: Sequence[Sequence[Any]], consts: Any, state: Any) -> list[tuple[list[bool], list[bool]]]:
    """For each program of the stages what differs between lanes: of the state before it, and of what it gives.

    A question has one answer for all.
    """
    out, left = [], iter(consts)
    for stage in programs:
        flags = [next(left) for _ in stage]
        after = [
            dependent(program.jaxpr, [*known, *[True] * (len(program.jaxpr.invars) - len(state)), *state])
            for program, known in zip(stage, flags, strict=True)
        ]
        whole = [any(column) for column in zip(*after[-2:], strict=True)] if len(stage) > 1 else after[0]
        out += [(state, [False])] * (len(stage) > 1) + [(state, whole)] * len(stage[-2:])
        state = whole
    return out


@jax.custom_batching.custom_vmap
def in_any_lane(flag: Any) -> Any:
    """Whether a flag is set; under ``vmap`` whether it is set in any lane of the block."""
    return flag


@in_any_lane.def_vmap
def _in_any_of_block(lanes: int, batched: Any, flags: Any) -> Any:
    # Counted by columns in a product, which XLA fuses with nothing, then the largest: in one reduction, or in one loop
    # with what gives the flags, a CPU would take the lanes one by one, longer than the steps that it decides about.
    wide = 32 if lanes % 32 == 0 else 1
    flags = jnp.broadcast_to(flags, (lanes,)).astype(jnp.float32).reshape(-1, wide)
    return jnp.max(jnp.ones((lanes // wide,), jnp.float32) @ flags) > 0, False


def _scan_arrays(jaxpr: Any, lanes: int, batched: Any, consts: Any, leaves: Any, length: int) -> Any:
    """As ``_scan_elements``, with the arrays of the lanes kept together."""
    which = batched_carry(jaxpr, batched[0], batched[1], ())
    axes = [0 if b else None for b in which]
    spread = [
        jnp.broadcast_to(a, (lanes, *a.shape)) if b and not known else a
        for a, b, known in zip(leaves, which, batched[1], strict=True)
    ]

    def one(consts: Any, carry: Any) -> Any:
        out = jaxpr_as_fun(ClosedJaxpr(jaxpr, consts))(*carry)
        return out[: len(leaves)], out[len(leaves) :]

    outside = [0 if b else None for b in batched[0]]
    block = jax.vmap(one, in_axes=(outside, axes), out_axes=(axes, 0), axis_size=lanes)
    last, rows = lax.scan(lambda carry, _: block(consts, carry), spread, None, length=length)
    return last, list(which), rows


def _scan_elements(jaxpr: Any, lanes: int, batched: Any, consts: Any, leaves: Any, length: int) -> Any:
    """The loop over a block: what is carried, with the lanes first; which of it has lanes; and what was emitted, with
    the steps first and the lanes second.
    """
    n = len(leaves)
    which = batched_carry(jaxpr, batched[0], batched[1], ())
    avals = [v.aval for v in jaxpr.outvars]
    outside = [split_lanes(jnp.asarray(c), b) for c, b in zip(consts, batched[0], strict=True)]
    early, late = _split_known(jaxpr)
    env = dict(zip(jaxpr.constvars, outside, strict=True))
    run_equations(early, env)

    def values(atoms: Sequence[Any]) -> list[Elements]:
        left = iter(atoms)
        return [shaped(itertools.islice(left, v.aval.size), v.aval.shape) for v in jaxpr.invars]

    def step(atoms: Sequence[Any], _: None) -> Any:
        inside = env | dict(zip(jaxpr.invars, values(atoms), strict=True))
        with instead(ONCE):
            run_equations(late, inside)
        out = [read(inside, v) for v in jaxpr.outvars]
        atoms = [
            [_as_carried(a, aval.dtype, b, lanes) for a in v.flat]
            for v, aval, b in zip(out, avals, [*which, *[True] * (len(out) - n)], strict=True)
        ]
        return sum(atoms[:n], []), sum(atoms[n:], [])

    start = [
        _as_carried(atom, leaf.dtype, b, lanes)
        for leaf, known, b in zip(leaves, batched[1], which, strict=True)
        for atom in split_lanes(leaf, known).flat
    ]
    atoms, emitted = lax.scan(step, start, None, length=length)
    carry = [join_lanes(v, lanes, a.dtype, b) for v, a, b in zip(values(atoms), avals[:n], which, strict=True)]
    left, rows = iter(emitted), []
    for aval in avals[n:]:
        parts = [next(left) for _ in range(aval.size)]
        whole = parts[0] if not aval.shape else jnp.stack(parts, axis=-1) if parts else jnp.zeros((length, lanes, 0))
        rows.append(whole.reshape(length, lanes, *aval.shape))
    return carry, list(which), rows


def _as_carried(atom: Any, dtype: Any, batched: bool, lanes: int) -> Any:
    atom = jnp.asarray(atom, dtype)
    return jnp.broadcast_to(atom, (lanes,)) if batched else atom


def needed(jaxpr: Any) -> tuple[list[Any], set[Any]]:
    """The equations that the results depend on, in their order, and all that these read."""
    live = {v for v in jaxpr.outvars if not isinstance(v, Literal)}
    kept = []
    for eqn in reversed(jaxpr.eqns):
        if live.intersection(eqn.outvars):
            kept.append(eqn)
            live.update(v for v in eqn.invars if not isinstance(v, Literal))
    return kept[::-1], live


def dependent(jaxpr: Any, flags: Sequence[bool]) -> list[bool]:
    """Which results depend on the flagged ones of the constants and arguments."""
    depends = {v for v, flag in zip([*jaxpr.constvars, *jaxpr.invars], flags, strict=True) if flag}
    for eqn in jaxpr.eqns:
        if any(v in depends for v in eqn.invars if not isinstance(v, Literal)):
            depends.update(eqn.outvars)
    return [not isinstance(v, Literal) and v in depends for v in jaxpr.outvars]


def batched_carry(jaxpr: Any, before: Sequence[bool], carry: Sequence[bool], after: Sequence[bool]) -> list[bool]:
    """Which parts of a loop's carry differ between lanes: those that do at the start, and what comes to depend on them.

    The carry stands between arguments ``before`` and ``after``, and is what the loop's body gives first.
    """
    which = list(carry)
    while True:
        later = dependent(jaxpr, [*before, *which, *after])[: len(which)]
        joined = [a or b for a, b in zip(which, later, strict=True)]
        if joined == which:
            return which
        which = joined


def one_piece(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function of one pytree; on a CPU it is compiled as one piece of code.

    XLA's runtime on a CPU calls every fused loop by itself, about 0.1 µs each, which is more than a loop over a few
    hundred lanes takes. What it marks so for its own small loops (``SmallWhileLoopHoistingPass``) is marked here for
    the loop over the steps; a compiler that does not know the mark goes on without.
    """

    def run(operand: Any) -> Any:
        closed, shape = jax.make_jaxpr(function, return_shape=True)(operand)

        def evaluate_all(consts: Any, leaves: Any) -> Any:
            # The constants are results too: XLA gives up the process at an argument of such a call that nothing reads.
            return jaxpr_as_fun(ClosedJaxpr(closed.jaxpr, consts))(*leaves), consts

        results: Any = jax.jit(evaluate_all)(list(closed.consts), jax.tree.leaves(operand))
        # On the results, for then it marks the call that gives them, and nothing within.
        results = set_xla_metadata(results, xla_cpu_small_call="true", inlineable="false")
        # JAX would drop results that are not read, and with them what they keep alive.
        leaves, _ = lax.optimization_barrier(results)
        return jax.tree.unflatten(jax.tree.structure(shape), leaves)

    return run


# What is worth it


SLOW = frozenset("acos acosh asin asinh atan atan2 atanh cos cosh digamma erf_inv lgamma pow sin sinh tan".split())
"""Primitives that XLA computes one number at a time on a CPU: where a lane takes them, it pays to share their results,
and the engine would compute them again for each of the loops that need them."""


def _once(primitive: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *operands: set_xla_metadata(jax.jit(primitive)(*operands), inlineable="false")


ONCE = {name: _once(getattr(lax, name)) for name in sorted(SLOW)}
"""These with results that are computed once, for all loops that need them; an ``accuracy`` that JAX lets one ask for is
left out.
"""

MOST_OPERATIONS = 600
"""Operations of a step, elements counted one by one, beyond which compiling them takes longer than it saves."""

SPREAD = 200_000
"""The cost, 10 for a byte and 1 for an operation, from which on XLA spreads a loop over threads."""


def survey(
    program: ClosedJaxpr, varies: Sequence[bool], most: int = MOST_OPERATIONS
) -> tuple[str | None, list[str], int]:
    """Why a step cannot be evaluated so, or None, the slow primitives in it, and its operations; ``varies``: which
    arguments differ between lanes.
    """
    slow: list[str] = []
    try:
        operations = _operations(program.jaxpr, varies, slow)[0]
    except NoLaneRule as reason:
        return f"no rule for {reason}", slow, 0
    return None if operations <= most else f"a step has {operations} operations, over {most}", slow, operations


def most_lanes(operations: int, dim: int, size: int) -> int:
    """Lanes that no loop of a step is spread over threads for: in one piece of code there are none."""
    return SPREAD // (10 * size * (dim + 12) + operations)


def _operations(jaxpr: Any, varies: Sequence[bool], slow: list[str]) -> tuple[int, list[bool]]:
    """Operations on vectors of lanes, counted by elements, and which results differ between lanes; slow ones are added
    to a list.

    Raises:
        NoLaneRule: for a primitive without a rule.
    """
    differ = dict(zip(jaxpr.invars, varies, strict=True))
    known = set()
    total = 0
    for eqn in jaxpr.eqns:
        name = eqn.primitive.name
        flags = [not isinstance(v, Literal) and differ.get(v, False) for v in eqn.invars]
        fixed = [isinstance(v, Literal) or v in known for v in eqn.invars]
        if all(fixed):
            known.update(eqn.outvars)
        results = [any(flags)] * len(eqn.outvars)
        if name in CALLS:
            inner = eqn.params[CALLS[name]]
            count, results = _operations(getattr(inner, "jaxpr", inner), flags, slow)
        elif name == "cond":
            parts = [_operations(branch.jaxpr, flags[1:], slow) for branch in eqn.params["branches"]]
            count = sum(part for part, _ in parts)
            results = [flags[0] or any(column) for column in zip(*(given for _, given in parts), strict=True)]
        elif name == "scan":
            if eqn.params["length"] > MOST_UNROLLED:
                raise NoLaneRule(f"a loop of {eqn.params['length']} trips")
            inner = eqn.params["jaxpr"].jaxpr
            count = eqn.params["length"] * _operations(inner, [any(flags)] * len(inner.invars), slow)[0]
        elif name in ("gather", "dynamic_slice") and not all(fixed[1:]):
            raise NoLaneRule(f"{name} at places that are computed")
        elif name not in RULES and name != "iota":
            raise NoLaneRule(f"the primitive {name}")
        else:
            if name in SLOW and any(flags):
                slow.append(name)
            count = _size_of(eqn) if any(flags) else 0
        total += count
        differ.update(zip(eqn.outvars, results, strict=True))
    return total, [not isinstance(v, Literal) and differ.get(v, False) for v in jaxpr.outvars]


def operations_of(eqn: Any) -> int:
    """Operations of one equation on vectors, counted by elements, with those of what it calls."""
    name = eqn.primitive.name
    if name in CALLS:
        inner = eqn.params[CALLS[name]]
        return sum(operations_of(e) for e in getattr(inner, "jaxpr", inner).eqns)
    if name == "cond":
        return sum(operations_of(e) for branch in eqn.params["branches"] for e in branch.jaxpr.eqns)
    if name == "scan":
        return eqn.params["length"] * sum(operations_of(e) for e in eqn.params["jaxpr"].jaxpr.eqns)
    return _size_of(eqn)


def _size_of(eqn: Any) -> int:
    """Operations of one equation: none where elements only move."""
    name, out = eqn.primitive.name, sum(v.aval.size for v in eqn.outvars)
    if name == "dot_general":
        (summed, _), _ = eqn.params["dimension_numbers"]
        return 2 * out * int(np.prod([eqn.invars[0].aval.shape[i] for i in summed]))
    if name in REDUCTIONS or name in CUMULATIVE or name in ("argmax", "argmin"):
        return eqn.invars[0].aval.size
    return out if name in ELEMENTWISE else 0
