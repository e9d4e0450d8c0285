"""A jaxpr of one lane evaluated element by element: each is a vector of its own, with one entry a lane.

``vmap`` keeps the small arrays of a low-dimensional problem together, [lanes, 2] say, and a compiler then writes each
of them out at every slice, sum and concatenation. Here the jaxpr of one lane is evaluated with the elements apart:
slices, reshapes, concatenations and small sums move Python objects and leave no instruction, and what remains is
arithmetic on [lanes], which fuses into a few loops. Operations and their order are those of the jaxpr.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Literal

MOST_UNROLLED = 64
"""Trips of a loop within a step that are written out one after the other."""

ELEMENTWISE = frozenset(
    "abs acos acosh add add_any and asin asinh atan atan2 atanh cbrt ceil clamp convert_element_type cos"
    " cosh digamma div eq erf erf_inv erfc exp exp2 expm1 floor ge gt integer_pow is_finite le lgamma log log1p"
    " logistic lt max min mul ne neg nextafter not or pow reduce_precision rem round rsqrt select_n shift_left"
    " shift_right_arithmetic shift_right_logical sign sin sinh sqrt square sub tan tanh xor".split()
)
"""Primitives that act on each element by itself."""

CALLS = {
    "jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr", "checkpoint": "jaxpr",
    "remat2": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr", "custom_vmap_call": "call",
}  # fmt: skip
"""Primitives that call a jaxpr, and the parameter it stands in."""

Elements = np.ndarray
"""An array of objects: NumPy scalars, JAX scalars (the same for all lanes), or JAX vectors [lanes]."""


_instead: ContextVar[Mapping[str, Callable[..., Any]]] = ContextVar("_instead")


@contextlib.contextmanager
def instead(operations: Mapping[str, Callable[..., Any]]) -> Iterator[None]:
    """Floating-point primitives by their names, and what is done with their operands in their place."""
    token = _instead.set(operations)
    try:
        yield
    finally:
        _instead.reset(token)


def _operator(name: str, dtype: Any, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """What a primitive does to operands of a type here."""
    return _instead.get({}).get(name, otherwise) if jnp.issubdtype(dtype, jnp.floating) else otherwise


class NoLaneRule(NotImplementedError):
    """A step holds something that has no rule here; the message names it."""


def elements(value: Any) -> Elements:
    """The elements of a NumPy array as objects."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return value
    array = np.asarray(value)
    out = np.empty(array.shape, object)
    for i in np.ndindex(array.shape):
        out[i] = array[i]
    return out


def shaped(atoms: Iterable[Any], shape: Sequence[int]) -> Elements:
    """Atoms in C order as an array of objects."""
    flat = np.empty(int(np.prod(shape)), object)
    for i, atom in enumerate(atoms):
        flat[i] = atom
    return flat.reshape(shape)


def _known(value: Elements) -> bool:
    """Whether the elements are numbers that are known before anything runs."""
    return all(isinstance(atom, np.generic) for atom in value.flat)


def _numbers(values: Iterable[Elements], variables: Iterable[Any]) -> list[np.ndarray]:
    """Known elements as arrays of numbers."""
    both = zip(values, variables, strict=True)
    return [np.asarray(v.tolist(), var.aval.dtype).reshape(v.shape) for v, var in both]


def split_lanes(array: Any, batched: bool) -> Elements:
    """The elements of a JAX array, which has the lanes first if it is batched."""
    shape = array.shape[1:] if batched else array.shape
    flat = array.reshape((array.shape[0], -1) if batched else (-1,))
    return shaped((flat[:, i] if batched else flat[i] for i in range(int(np.prod(shape)))), shape)


def join_lanes(value: Elements, lanes: int, dtype: Any, batched: bool) -> Any:
    """The JAX array of these elements, with the lanes first if it is to be batched."""
    atoms = [jnp.asarray(a, dtype) for a in value.flat]
    if batched:
        atoms = [jnp.broadcast_to(a, (lanes,)) for a in atoms]
    whole = jnp.stack(atoms, axis=-1) if atoms else jnp.zeros((lanes, 0) if batched else (0,), dtype)
    return whole.reshape((lanes, *value.shape) if batched else value.shape)


# One equation


def _bind(eqn: Any, atoms: Sequence[Any]) -> Any:
    """An elementwise primitive on atoms: on vectors if one of them is one."""
    dtype = eqn.outvars[0].aval.dtype
    if eqn.primitive.name == "div" and dtype.kind == "f" and jnp.ndim(atoms[0]) > jnp.ndim(atoms[1]):
        # One division for all lanes; a product differs from the quotient in its last bit.
        return atoms[0] * (1 / jnp.asarray(atoms[1], dtype))
    lanes = next((a.shape for a in atoms if getattr(a, "ndim", 0)), ())
    operands = []
    for atom, var in zip(atoms, eqn.invars, strict=True):
        # What a lane shares is spread out: primitives take operands of one shape.
        operand = jnp.asarray(atom, var.aval.dtype)
        operands.append(operand if operand.shape == lanes else lax.broadcast(operand, lanes))
    params = {k: (None if k == "sharding" else v) for k, v in eqn.params.items()}
    bind = functools.partial(eqn.primitive.bind, **params)
    return _operator(eqn.primitive.name, dtype, bind)(*operands)


def _elementwise(eqn: Any, x: list[Elements]) -> list[Elements]:
    shape = eqn.outvars[0].aval.shape
    spread = [np.broadcast_to(v, shape) for v in x]
    known: dict[tuple[int, ...], Any] = {}

    def one(i: tuple[int, ...]) -> Any:
        atoms = [v[i] for v in spread]
        key = tuple(map(id, atoms))
        if key not in known:
            known[key] = _bind(eqn, atoms)
        return known[key]

    return [shaped((one(i) for i in np.ndindex(shape)), shape)]


def _combine(operator: Callable[[Any, Any], Any], atoms: Iterable[Any]) -> Any:
    """Left to right; scalars are spread out where they meet vectors."""

    def pair(a: Any, b: Any) -> Any:
        a, b = jnp.asarray(a), jnp.asarray(b)
        shape = a.shape or b.shape
        return operator(jnp.broadcast_to(a, shape), jnp.broadcast_to(b, shape))

    return functools.reduce(pair, atoms)


REDUCTIONS: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "reduce_sum": (lax.add, 0), "reduce_prod": (lax.mul, 1), "reduce_max": (lax.max, None),
    "reduce_min": (lax.min, None), "reduce_and": (lax.bitwise_and, True), "reduce_or": (lax.bitwise_or, False),
    "reduce_xor": (lax.bitwise_xor, False),
}  # fmt: skip
"""Operator, and what is left where nothing is reduced."""

CUMULATIVE = {"cumsum": lax.add, "cumprod": lax.mul, "cummax": lax.max, "cummin": lax.min}


def _rows(x: Elements, axes: Sequence[int]) -> Elements:
    """The axes moved last and made one."""
    kept = [i for i in range(x.ndim) if i not in axes]
    return x.transpose([*kept, *axes]).reshape([x.shape[i] for i in kept] + [-1])


def _reduce(eqn: Any, x: list[Elements]) -> list[Elements]:
    operator, empty = REDUCTIONS[eqn.primitive.name]
    rows, out = _rows(x[0], eqn.params["axes"]), eqn.outvars[0].aval
    operator = _operator(eqn.primitive.name.removeprefix("reduce_"), out.dtype, operator)
    if rows.shape[-1] == 0:
        return [elements(np.full(out.shape, empty, out.dtype))]
    return [shaped((_combine(operator, rows[i]) for i in np.ndindex(rows.shape[:-1])), out.shape)]


def _reduce_by(eqn: Any, x: list[Elements]) -> list[Elements]:
    """A reduction by a function of two numbers, which the equation holds."""
    if len(x) != 2:
        raise NoLaneRule("a reduction of several arrays")
    inner, rows = eqn.params["jaxpr"], _rows(x[0], eqn.params["dimensions"])
    consts = [elements(np.asarray(c)) for c in getattr(eqn.params["jaxpr"], "consts", ())]

    def pair(a: Elements, b: Any) -> Elements:
        return evaluate(getattr(inner, "jaxpr", inner), consts, [a, shaped([b], ())])[0]

    out = eqn.outvars[0].aval.shape
    return [shaped((functools.reduce(pair, rows[i], x[1]).item() for i in np.ndindex(rows.shape[:-1])), out)]


def _argument(eqn: Any, x: list[Elements]) -> list[Elements]:
    """The first index of the largest or smallest, a NaN counting as such."""
    better = lax.gt if eqn.primitive.name == "argmax" else lax.lt
    out, dtype = eqn.outvars[0].aval, eqn.params["index_dtype"]
    rows = _rows(x[0], eqn.params["axes"])

    def first(row: Elements) -> Any:
        best, at = row[0], np.asarray(0, dtype)[()]
        for i, atom in enumerate(row[1:], 1):
            win = _combine(lambda a, b: better(a, b) | ((a != a) & (b == b)), [atom, best])
            best, at = jnp.where(win, atom, best), jnp.where(win, np.asarray(i, dtype), at)
        return at

    return [shaped((first(rows[i]) for i in np.ndindex(rows.shape[:-1])), out.shape)]


def _cumulate(eqn: Any, x: list[Elements]) -> list[Elements]:
    axis, name = eqn.params["axis"], eqn.primitive.name
    operator = _operator(name.removeprefix("cum"), eqn.outvars[0].aval.dtype, CUMULATIVE[name])
    rows = np.moveaxis(x[0], axis, -1)
    rows = rows[..., ::-1] if eqn.params["reverse"] else rows
    out = np.empty(rows.shape, object)
    for i in np.ndindex(rows.shape[:-1]):
        for k, total in enumerate(itertools.accumulate(rows[i], lambda a, b: _combine(operator, [a, b]))):
            out[(*i, k)] = total
    return [np.moveaxis(out[..., ::-1] if eqn.params["reverse"] else out, -1, axis)]


def _dot(eqn: Any, x: list[Elements]) -> list[Elements]:
    (left_sum, right_sum), (left_batch, right_batch) = eqn.params["dimension_numbers"]
    left, right = x

    def arrange(a: Elements, batch: Sequence[int], summed: Sequence[int]) -> tuple[Elements, list[int]]:
        free = [i for i in range(a.ndim) if i not in batch and i not in summed]
        sizes = [a.shape[i] for i in free]
        wide = a.transpose([*batch, *free, *summed]).reshape([*(a.shape[i] for i in batch), int(np.prod(sizes)), -1])
        return wide, sizes

    a, a_free = arrange(left, left_batch, left_sum)
    b, b_free = arrange(right, right_batch, right_sum)
    batch, out = a.shape[:-2], eqn.outvars[0].aval

    def product(row: Sequence[Any], column: Sequence[Any]) -> Any:
        pairs = [(jnp.asarray(p, out.dtype), jnp.asarray(q, out.dtype)) for p, q in zip(row, column, strict=True)]
        terms = [_combine(lax.mul, pair) for pair in pairs]
        return _combine(lax.add, terms) if terms else np.zeros((), out.dtype)[()]

    def all_products() -> Iterable[Any]:
        for i in np.ndindex(batch):
            for j in range(a.shape[-2]):
                for k in range(b.shape[-2]):
                    yield product(a[(*i, j)], b[(*i, k)])

    return [shaped(all_products(), (*batch, *a_free, *b_free))]


def _broadcast(eqn: Any, x: list[Elements]) -> list[Elements]:
    shape = eqn.params["shape"]
    kept = [1] * len(shape)
    for axis, d in enumerate(eqn.params["broadcast_dimensions"]):
        kept[d] = x[0].shape[axis]
    return [np.broadcast_to(x[0].reshape(kept), shape)]


def _pad(eqn: Any, x: list[Elements]) -> list[Elements]:
    array, config = x[0], eqn.params["padding_config"]
    sides = [(max(lo, 0), max(hi, 0), gap, n) for (lo, hi, gap), n in zip(config, array.shape, strict=True)]
    full = np.empty([lo + hi + n + max(n - 1, 0) * gap for lo, hi, gap, n in sides], object)
    full[...] = np.broadcast_to(x[1], full.shape)
    at = [slice(lo, lo + (n - 1) * (gap + 1) + 1 if n else lo, gap + 1) for lo, _, gap, n in sides]
    full[(..., *at)] = array
    # A negative width takes away.
    kept = [slice(max(-lo, 0), n - max(-hi, 0)) for (lo, hi, _), n in zip(config, full.shape, strict=True)]
    return [full[(..., *kept)]]


def _slice(eqn: Any, x: list[Elements]) -> list[Elements]:
    p = eqn.params
    strides = p["strides"] or [1] * x[0].ndim
    return [x[0][(..., *map(slice, p["start_indices"], p["limit_indices"], strides))]]


def _split(eqn: Any, x: list[Elements]) -> list[Elements]:
    return np.split(x[0], np.cumsum(eqn.params["sizes"])[:-1], axis=eqn.params["axis"])


def _unstack(eqn: Any, x: list[Elements]) -> list[Elements]:
    parts = np.moveaxis(x[0], eqn.params["axis"], 0)
    return [parts[i, ...] for i in range(len(parts))]


def _select_by(eqn: Any, x: list[Elements]) -> list[Elements]:
    """Moves elements to where integers that are known beforehand say: found by moving their numbers."""
    moved = x[0]
    if not all(map(_known, x[1:])):
        raise NoLaneRule(f"{eqn.primitive.name} at places that are computed")
    numbers = np.arange(moved.size, dtype=np.int32).reshape(moved.shape)
    where = _numbers(x[1:], eqn.invars[1:])
    with jax.ensure_compile_time_eval():
        at = np.asarray(eqn.primitive.bind(numbers, *where, **eqn.params))
    if at.size and not (0 <= at.min() and at.max() < moved.size):
        raise NoLaneRule(f"{eqn.primitive.name} out of bounds")
    return [shaped((moved.flat[n] for n in at.flat), at.shape)]


def _conditional(eqn: Any, x: list[Elements]) -> list[Elements]:
    """Every branch, then a choice: what ``vmap`` does where lanes take different ones."""
    which, branches = x[0].item(), eqn.params["branches"]
    results = [evaluate(b.jaxpr, [elements(np.asarray(c)) for c in b.consts], x[1:]) for b in branches]
    if _known(x[0]):
        return results[int(np.clip(which, 0, len(branches) - 1))]

    def choose(atoms: Sequence[Any], dtype: Any) -> Any:
        shape = jnp.broadcast_shapes(jnp.shape(which), *(jnp.shape(a) for a in atoms))
        spread = [jnp.broadcast_to(jnp.asarray(a, dtype), shape) for a in atoms]
        index = jnp.broadcast_to(which, shape)
        chosen = spread[0]
        for n, atom in enumerate(spread[1:], 1):
            chosen = lax.select(index >= n if n == len(spread) - 1 else index == n, atom, chosen)
        return chosen

    out = []
    for values, var in zip(zip(*results, strict=True), eqn.outvars, strict=True):
        columns = zip(*(v.flat for v in values), strict=True)
        out.append(shaped((choose(atoms, var.aval.dtype) for atoms in columns), var.aval.shape))
    return out


def _loop(eqn: Any, x: list[Elements]) -> list[Elements]:
    """A scan of known length, written out."""
    p = eqn.params
    if p["length"] > MOST_UNROLLED:
        raise NoLaneRule(f"a loop of {p['length']} trips")
    first, last = p["num_consts"], p["num_consts"] + p["num_carry"]
    consts, carry, xs = x[:first], x[first:last], x[last:]
    inner, rows = p["jaxpr"], []
    held = [elements(np.asarray(c)) for c in inner.consts]
    for k in reversed(range(p["length"])) if p["reverse"] else range(p["length"]):
        out = evaluate(inner.jaxpr, held, [*consts, *carry, *(v[k, ...] for v in xs)])
        carry = out[: p["num_carry"]]
        rows.append(out[p["num_carry"] :])
    rows = rows[::-1] if p["reverse"] else rows
    return [*carry, *(np.stack(column) for column in zip(*rows, strict=True))]


RULES: dict[str, Callable[[Any, list[Elements]], list[Elements]]] = {
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    **dict.fromkeys(REDUCTIONS, _reduce),
    **dict.fromkeys(CUMULATIVE, _cumulate),
    **dict.fromkeys(("argmax", "argmin"), _argument),
    "reduce": _reduce_by,
    **dict.fromkeys(("reshape", "squeeze", "expand_dims"), lambda eqn, x: [x[0].reshape(eqn.outvars[0].aval.shape)]),
    **dict.fromkeys(("gather", "dynamic_slice"), _select_by),
    "broadcast_in_dim": _broadcast,
    "concatenate": lambda eqn, x: [np.concatenate(x, axis=eqn.params["dimension"])],
    "cond": _conditional,
    "dot_general": _dot,
    **dict.fromkeys(("copy", "copy_p", "optimization_barrier"), lambda eqn, x: x),
    "pad": _pad,
    "rev": lambda eqn, x: [np.flip(x[0], eqn.params["dimensions"])],
    "scan": _loop,
    "slice": _slice,
    "split": _split,
    "unstack": _unstack,
    "stack": lambda eqn, x: [np.stack(x, axis=eqn.params["axis"])],
    "stop_gradient": lambda eqn, x: x,
    "transpose": lambda eqn, x: [x[0].transpose(eqn.params["permutation"])],
}
"""A primitive's name, and what it does with the elements of its operands."""


def _apply(eqn: Any, x: list[Elements]) -> list[Elements]:
    """The results of one equation."""
    name = eqn.primitive.name
    if name in CALLS:
        inner = eqn.params[CALLS[name]]
        consts = getattr(inner, "consts", ())
        return evaluate(getattr(inner, "jaxpr", inner), [elements(np.asarray(c)) for c in consts], x)
    if all(map(_known, x)) and name != "cond":
        # Indices, masks, tables.
        arrays = _numbers(x, eqn.invars)
        with jax.ensure_compile_time_eval():
            out = eqn.primitive.bind(*arrays, **eqn.params)
        return [elements(np.asarray(v)) for v in (out if eqn.primitive.multiple_results else [out])]
    rule = RULES.get(name)
    if rule is None:
        raise NoLaneRule(name)
    return rule(eqn, x)


def read(env: dict[Any, Elements], var: Any) -> Elements:
    """The elements of a variable or literal."""
    aval: Any = var.aval
    return elements(np.asarray(var.val, aval.dtype)) if isinstance(var, Literal) else env[var]


def run_equations(equations: Iterable[Any], env: dict[Any, Elements]) -> None:
    """Evaluate equations in their order and add what they give to the environment."""
    for eqn in equations:
        env.update(zip(eqn.outvars, _apply(eqn, [read(env, v) for v in eqn.invars]), strict=True))


def evaluate(jaxpr: Any, consts: Sequence[Elements], args: Sequence[Elements]) -> list[Elements]:
    """The results of a jaxpr of one lane, with its arrays given and returned as elements.

    Raises:
        NoLaneRule: it holds a primitive that has no rule here.
    """
    env = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))
    run_equations(jaxpr.eqns, env)
    return [read(env, v) for v in jaxpr.outvars]
