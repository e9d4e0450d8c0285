"""The engine ``fused``: whole descents of a block of lanes in one GPU kernel, which keeps them in registers.

The steps of one lane (``chunks``) are traced and evaluated element by element (``elements``) within a Pallas kernel for
Triton: an element is a vector over the lanes of a program, or a scalar where lanes do not differ. A chunk of steps
first gathers only how far its points reach; where something happens in any lane of the program, it is gone through
again and judged point by point, as ``scan`` does. A program ends when all of its lanes have ended. What is measured
once, after the last step, is left to XLA.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Literal

from gdbench.kernels import lanes, record
from gdbench.kernels.chunks import Given, Steps, ranges
from gdbench.kernels.descent import Descent, Lane, Shared, primitives
from gdbench.kernels.elements import Elements, elements, instead, read, run_equations, shaped
from gdbench.lazy import pl, triton

BLOCK_LANES = 1 << 18
"""Lanes of a block on a GPU: every multiprocessor of a large one is full, and a dispatch costs little beside them."""

NOT_IN_TRITON = frozenset("digamma erf erfc lgamma reduce_precision round".split())
"""Elementwise primitives that Pallas does not lower to Triton."""

MOST_OPERATIONS = 1200
"""Operations of a step, which is compiled up to four times over."""

UNROLLED = 256
"""Operations of the steps of a chunk that are written out one after the other."""

MOST_WORDS = 96
"""Numbers of a lane's state and of the data that all lanes share: a thread has 255 registers, and while a chunk is
tried, the state before it is kept."""


class Launch(NamedTuple):
    """How the kernel is run.

    Attributes:
        lanes: of a program, a power of two.
        warps: that run a program.
        unroll: steps of a chunk that are written out one after the other, at most.
        modern: the larger of two numbers is found by an instruction that GPUs have from compute capability 8 on.
        at_once: chunks are taken at once where nothing happens in them; else each point is judged by itself.
    """

    lanes: int = 128
    warps: int = 4
    unroll: int = 8
    modern: bool = True
    at_once: bool = True


# What it takes


def refusal(descent: Descent) -> str | None:
    """Why the engine does not serve a descent, or None."""
    why = refused_by(descent, NOT_IN_TRITON, "Pallas does not lower to Triton", MOST_OPERATIONS)
    if why:
        return why
    words = words_of(descent)
    return None if words <= MOST_WORDS else f"a lane has {words} words of state and data, over {MOST_WORDS}"


def refused_by(descent: Descent, missing: AbstractSet[str], told: str, most: int) -> str | None:
    """Why whole descents of a group of lanes are not one program, or None; primitives that are missing are told so."""
    shape, problem = descent.shape, descent.problem
    if shape.bare:
        return "its kernel judges every descent, and nothing is to be judged here"
    if descent.optimizer.host is not None:
        return "the method runs on the host"
    if problem.stochastic or problem.sample is not None:
        return "mini-batches are drawn at random"
    if shape.trace_steps or shape.path_steps or shape.targets:
        return "values at certain steps or targets are asked for"
    if descent.counted:
        return "evaluations are counted step by step"
    for program, varies in (descent.step_program(), descent.init_program()):
        found = missing & set(primitives(program.jaxpr))
        if found:
            return f"{told} {', '.join(sorted(found))}"
        why = lanes.survey(program, varies, most)[0]
        if why:
            return why
    return None


def words_of(descent: Descent) -> int:
    """Numbers of x, the last update, the optimizer's state, and the problem's data."""
    data = sum(int(np.prod(np.shape(leaf))) for leaf in jax.tree.leaves(descent.problem.data))
    return 2 * descent.problem.dim + descent.facts.words + data


# A function of one lane by elements


class Piece:
    """A function of one lane's arguments and of what changes, as equations over elements.

    ``early`` are those that the arguments alone decide, ``late`` the others; what no result needs is in neither.
    """

    def __init__(self, function: Callable[..., Any], given: Any, *changing: Any) -> None:
        closed, self.shape = jax.make_jaxpr(function, return_shape=True)(given, *changing)
        self.jaxpr, self.consts = closed.jaxpr, closed.consts
        self.given = len(jax.tree.leaves(given))
        equations, live = lanes.needed(self.jaxpr)
        self.uses = [v in live for v in self.jaxpr.invars]
        known = {*self.jaxpr.constvars, *self.jaxpr.invars[: self.given]}
        self.early: list[Any] = []
        self.late: list[Any] = []
        for eqn in equations:
            decided = all(isinstance(v, Literal) or v in known for v in eqn.invars)
            known.update(eqn.outvars if decided else ())
            (self.early if decided else self.late).append(eqn)

    def prepare(self, given: Sequence[Elements | None]) -> Callable[..., list[Elements]]:
        """The function of what changes, as elements; what the arguments decide is computed here and now."""
        env: dict[Any, Any] = dict(zip(self.jaxpr.constvars, map(elements, map(np.asarray, self.consts)), strict=True))
        env.update(zip(self.jaxpr.invars, given, strict=False))
        run_equations(self.early, env)

        def call(*changing: Elements) -> list[Elements]:
            inside = env | dict(zip(self.jaxpr.invars[self.given :], changing, strict=True))
            run_equations(self.late, inside)
            return [read(inside, v) for v in self.jaxpr.outvars]

        return call


class Form(NamedTuple):
    """The leaves of something carried: their shapes and types, and which of them differ between lanes."""

    avals: list[Any]
    differ: list[bool]

    def atoms(self, values: Iterable[Elements], width: int) -> list[Any]:
        """The elements of all leaves one after the other: vectors [width] where lanes differ."""
        return [
            _carried(atom, aval.dtype, (width,) if differs else ())
            for value, aval, differs in zip(values, self.avals, self.differ, strict=True)
            for atom in value.flat
        ]

    def values(self, atoms: Iterable[Any]) -> list[Elements]:
        """The leaves from such atoms."""
        left = iter(atoms)
        return [shaped(itertools.islice(left, a.size), a.shape) for a in self.avals]


def _carried(atom: Any, dtype: Any, shape: tuple[int, ...]) -> Any:
    """An atom as a loop carries it; a number that is known becomes the result of an operation, as Pallas wants it."""
    value = jnp.broadcast_to(jnp.asarray(atom, dtype), shape)
    if shape or not isinstance(atom, np.generic):
        return value
    return lax.max(value, value) if jnp.issubdtype(value.dtype, jnp.floating) else lax.bitwise_or(value, value)


def all_differ(tree: Any) -> Form:
    """The leaves of something that differs between lanes."""
    leaves = jax.tree.leaves(tree)
    return Form(leaves, [True] * len(leaves))


# What Triton does otherwise


def _written_out(better: Any) -> Callable[[Any, Any], Any]:
    return lambda a, b: jnp.where(better(a, b) | (a != a), a, b)


def _by_instruction(name: str, better: Any) -> Callable[[Any, Any], Any]:
    """One instruction for a vector of float32."""

    def choose(a: Any, b: Any) -> Any:
        if a.dtype != np.float32 or not a.shape:
            return _written_out(better)(a, b)
        like = [jax.ShapeDtypeStruct(a.shape, a.dtype)]
        asm = f"{name}.NaN.f32 $0, $1, $2;"
        return triton.elementwise_inline_asm(
            asm, args=[a, b], constraints="=f,f,f", pack=1, result_shape_dtypes=like
        )[0]  # fmt: skip

    return choose


def _keeping_nan(by_instruction: bool) -> dict[str, Callable[..., Any]]:
    """The larger and the smaller of two numbers, NaN if one is; Pallas' own for Triton lose it."""
    both = {"max": jnp.greater, "min": jnp.less}
    if by_instruction:
        rules = {name: _by_instruction(name, better) for name, better in both.items()}
    else:
        rules = {name: _written_out(better) for name, better in both.items()}
    return rules | {"clamp": lambda low, a, high: rules["min"](rules["max"](low, a), high)}


# The program


class Phase:
    """The pieces of a loop over chunks within a range of steps."""

    def __init__(self, steps: Steps, given: Given, s: Any, t: Any) -> None:
        self.until = steps.within.until
        self.nothing = Piece(steps.nothing, given)
        reach = self.nothing.shape
        self.reach = all_differ(reach)
        self.look = Piece(steps.look, given, s, t, reach)
        self.events = Piece(steps.events, given, s.k, t, reach)
        self.take = Piece(steps.take, given, s.k, t, reach)
        self.judge = Piece(steps.judge, given, s, t)
        self.pieces = [self.nothing, self.look, self.events, self.take, self.judge]


class Program:
    """The pieces of a descent, for arguments of one lane of these shapes."""

    def __init__(self, descent: Descent, given: Given, kind: type[Steps] = Steps) -> None:
        self.descent = descent
        parts = [kind(descent, within) for within in ranges(descent.shape, descent.layout)]
        self.steps = parts[-1]
        self.unroll = UNROLLED // max(1, lanes.survey(*descent.step_program())[2])
        self.differ = [part is given[0] for part in given for _ in jax.tree.leaves(part)]
        self.begin = Piece(self.steps.begin, given)
        s, t = self.begin.shape
        self.close = Piece(self.steps.close, given, s.k, t)
        self.finish = Piece(self.steps.finish, given, s, t)
        self.phases = [Phase(steps, given, s, t) for steps in parts]
        self.state = Form(jax.tree.leaves(s), self._state_differs(len(jax.tree.leaves(s))))
        self.tracker, self.tree = all_differ(t), jax.tree.structure((s, t))
        self.ends = all_differ((s, t))
        pieces = [self.begin, self.close, *(piece for phase in self.phases for piece in phase.pieces)]
        self.asked = [any(column) for column in zip(*(p.uses[: p.given] for p in pieces), strict=True)]
        self.told = self.finish.uses[self.finish.given :]

    def _state_differs(self, n: int) -> list[bool]:
        """Which leaves of the state come to differ between lanes, in any phase."""
        begin = self.begin
        which = lanes.dependent(begin.jaxpr, [*[False] * len(begin.consts), *self.differ])[:n]
        for judge in (phase.judge for phase in self.phases):
            before, after = [*[False] * len(judge.consts), *self.differ], len(judge.jaxpr.invars) - judge.given - n
            which = lanes.batched_carry(judge.jaxpr, before, which, [False] * after)
        return which


class Loop(NamedTuple):
    """What goes from chunk to chunk: the step, atoms of state and tracker, and whether any lane goes on."""

    k: Any
    s: list[Any]
    t: list[Any]
    active: Any


def _scalar(atom: Any) -> Elements:
    return shaped([atom], ())


def _descend(program: Program, given: Sequence[Elements | None], width: int, launch: Launch) -> list[Elements]:
    """State and tracker after whole descents of so many lanes; runs within the kernel."""
    s, t = program.state, program.tracker
    first = program.begin.prepare(given)()
    n = len(s.avals)
    loop = Loop(jnp.int32(0), s.atoms(first[:n], width), t.atoms(first[n:], width), jnp.bool_(True))
    for phase in program.phases:
        until, one_more = phase.until, _chunk(program, phase, given, width, launch)
        loop = lax.while_loop(lambda loop, until=until: (loop.k < until) & loop.active, one_more, loop)
    return s.values(loop.s) + t.values(loop.t)


def _chunk(
    program: Program, phase: Phase, given: Sequence[Elements | None], width: int, launch: Launch
) -> Callable[[Loop], Loop]:
    """The body of a loop over chunks."""
    s_form, t_form, r_form, layout = program.state, program.tracker, phase.reach, program.descent.layout
    n, m = len(s_form.avals), len(s_form.avals) + len(t_form.avals)
    nothing, look, events, take, judge = (piece.prepare(given) for piece in phase.pieces)
    close = program.close.prepare(given)
    # Whole chunks only are cut into equal parts.
    most = 1 if phase.until % layout.chunk else max(1, min(launch.unroll, program.unroll))
    unrolled = max(n for n in range(1, most + 1) if layout.chunk % n == 0)

    def look_on(_: Any, carry: Any) -> Any:
        for _ in range(unrolled):
            s, t, reach = carry
            out = look(*s_form.values(s), *t_form.values(t), *r_form.values(reach))
            carry = s_form.atoms(out[:n], width), t_form.atoms(out[n:m], width), r_form.atoms(out[m:], width)
        return carry

    def judge_one(_: Any, carry: Any) -> Any:
        out = judge(*s_form.values(carry[0]), *t_form.values(carry[1]))
        return s_form.atoms(out[:n], width), t_form.atoms(out[n:], width)

    def chunk(loop: Loop) -> Loop:
        k, end = loop.k, jnp.minimum(loop.k + layout.chunk, phase.until)
        s, t = loop.s, loop.t
        if launch.at_once:
            none = r_form.atoms(nothing(), width)
            s, t, reach = lax.fori_loop(0, (end - k) // unrolled, look_on, (s, t, none))
            told = [*t_form.values(t), *r_form.values(reach)]
            s, t = lax.cond(
                jnp.max(events(_scalar(k), *told)[0].item()) > 0,
                lambda before, after: lax.fori_loop(k, end, judge_one, before),
                lambda before, after: after,
                (loop.s, loop.t), (s, t_form.atoms(take(_scalar(end), *told), width)),
            )  # fmt: skip
        else:
            s, t = lax.fori_loop(k, end, judge_one, (s, t))
        after = close(_scalar(end), *t_form.values(t))
        stop = after[0].item()
        return Loop(end, s, t_form.atoms(after, width), jnp.max(jnp.where(stop == record.NEVER, 1, 0)) > 0)

    return chunk


# The kernel


class Columns(NamedTuple):
    """Where a leaf of the arguments stands among the kernel's inputs, its shape, and whether lanes differ."""

    first: int
    shape: tuple[int, ...]
    differ: bool

    def load(self, refs: Sequence[Any]) -> Elements:
        """Its elements: vectors of the program's lanes, or scalars."""
        size = int(np.prod(self.shape))
        if self.differ:
            return shaped((refs[self.first + i][...] for i in range(size)), self.shape)
        return shaped((refs[self.first][i] for i in range(size)), self.shape)


def _inputs(program: Program, given: Given, width: int) -> tuple[list[Any], list[Any], list[Columns | None]]:
    """Arrays of one axis for the kernel: a column of lanes an element, or all elements of what lanes share."""
    arrays, specs, columns = [], [], []
    for leaf, differs, asked in zip(jax.tree.leaves(given), program.differ, program.asked, strict=True):
        columns.append(Columns(len(arrays), leaf.shape[1:] if differs else leaf.shape, differs) if asked else None)
        if asked and leaf.size and differs:
            parts = leaf.reshape(len(leaf), -1)
            arrays += [parts[:, i] for i in range(parts.shape[1])]
            specs += [pl.BlockSpec((width,), lambda i: (i,))] * parts.shape[1]
        elif asked and leaf.size:
            arrays.append(leaf.reshape(-1))
            specs.append(pl.BlockSpec((leaf.size,), lambda i: (0,)))
    return arrays, specs, columns


def _run_kernel(program: Program, given: Given, launch: Launch, interpret: bool) -> tuple[Any, Any]:
    """State and tracker at the end of each lane, [lanes, …] a leaf; those that nothing reads are 0."""
    total = len(given[0].x0)
    width = min(launch.lanes, total)
    arrays, specs, columns = _inputs(program, given, width)
    avals, told = program.ends.avals, program.told
    outputs = [aval for aval, is_told in zip(avals, told, strict=True) if is_told for _ in range(aval.size)]

    def descend(*refs: Any) -> None:
        loaded = [None if column is None else column.load(refs) for column in columns]
        with instead(_keeping_nan(launch.modern and not interpret)):
            ends = _descend(program, loaded, width, launch)
        known = Form(list(itertools.compress(avals, told)), [True] * sum(told))
        atoms = known.atoms(itertools.compress(ends, told), width)
        for ref, atom in zip(refs[len(arrays) :], atoms, strict=True):
            ref[...] = atom.astype(ref.dtype)

    out = pl.pallas_call(
        descend, grid=(total // width,), in_specs=specs,
        out_specs=[pl.BlockSpec((width,), lambda i: (i,))] * len(outputs),
        # Triton keeps truth values in bytes.
        out_shape=[jax.ShapeDtypeStruct((total,), np.int8 if a.dtype == bool else a.dtype) for a in outputs],
        compiler_params=triton.CompilerParams(num_warps=launch.warps, num_stages=1), interpret=interpret,
    )(*arrays)  # fmt: skip
    left, leaves = iter(out), []
    for aval, is_told in zip(avals, told, strict=True):
        parts = [next(left) for _ in range(aval.size)] if is_told else []
        whole = jnp.stack(parts, 1) if parts else jnp.zeros((total, aval.size))
        leaves.append(whole.reshape(total, *aval.shape).astype(aval.dtype))
    return jax.tree.unflatten(program.tree, leaves)


def records(
    descent: Descent, own: Lane, common: Lane, shared: Shared, interpret: bool = False, launch: Launch | None = None
) -> dict[str, Any]:
    """The records of a block of lanes, [lanes, …] each, as ``jax.vmap`` of ``scan.descend`` gives them.

    ``own`` are the arguments that differ between lanes, ``common`` those that do not; a count of lanes that is a power
    of two or a multiple of the launch's.
    """
    one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), own)
    rest = jax.tree.map(lambda a: jax.ShapeDtypeStruct(np.shape(a), a.dtype), (common, shared))
    program = Program(descent, (one, *rest))
    s, t = _run_kernel(program, (own, common, shared), launch or Launch(unroll=1 if interpret else 8), interpret)
    return jax.vmap(lambda own, s, t: program.steps.finish((own, common, shared), s, t))(own, s, t)
