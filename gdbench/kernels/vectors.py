"""A jaxpr over vectors of lanes as the text of an LLVM function: what the engine ``native`` compiles.

It takes what a lane's jaxpr becomes element by element (``elements``): arithmetic on numbers and on vectors [width], in
loops and branches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from jax.extend.core import Literal

from gdbench.kernels.elements import CALLS
from gdbench.kernels.instructions import FUNCTIONS, TABLE_BYTES, NoVectorRule, Value, Writer

Rule = Callable[[Writer, Any, list[Value]], Value]


def _select(w: Writer, eqn: Any, x: list[Value]) -> Value:
    which, *cases = x
    if which.dtype.kind == "b":
        return w.choose(which, cases[1], cases[0])
    out = cases[0]
    for n, case in enumerate(cases[1:], 1):
        out = w.choose(w.compare("ge", which, w.number(n, which.dtype)), case, out)
    return out


def _round(w: Writer, eqn: Any, x: list[Value]) -> Value:
    away = int(eqn.params["rounding_method"]) == 0
    return w.intrinsic("round" if away else "roundeven", x[0])


def _power(w: Writer, eqn: Any, x: list[Value]) -> Value:
    return w.function("pow", x[0], w.convert(x[1], x[0].dtype))


def _clamp(w: Writer, eqn: Any, x: list[Value]) -> Value:
    return w.larger(w.larger(x[0], x[1]), x[2], "lt")


def _logistic(w: Writer, eqn: Any, x: list[Value]) -> Value:
    one = w.number(1, x[0].dtype)
    return w.operate("fdiv", one, w.add(one, w.function("exp", w.negate(x[0]))))


def _rsqrt(w: Writer, eqn: Any, x: list[Value]) -> Value:
    return w.operate("fdiv", w.number(1, x[0].dtype), w.intrinsic("sqrt", x[0]))


def _absolute(w: Writer, eqn: Any, x: list[Value]) -> Value:
    return w.intrinsic("fabs", x[0]) if x[0].real else w.intrinsic("abs", x[0], more="i1 false")


def _finite(w: Writer, eqn: Any, x: list[Value]) -> Value:
    return w.compare("lt", w.intrinsic("fabs", x[0]), w.number(np.inf, x[0].dtype))


def _not(w: Writer, eqn: Any, x: list[Value]) -> Value:
    return w.operate("xor", x[0], w.number(True if x[0].dtype.kind == "b" else -1, x[0].dtype))


def _shift(name: str) -> Rule:
    """Shifts by as many bits as there are give 0, or the sign."""

    def rule(w: Writer, eqn: Any, x: list[Value]) -> Value:
        bits = 8 * x[0].dtype.itemsize
        last, over = w.number(bits - 1, x[1].dtype), w.compare("ge", x[1], w.number(bits, x[1].dtype))
        out = w.operate(name, x[0], w.choose(over, last, x[1]))
        return out if name == "ashr" else w.choose(over, w.number(0, out.dtype), out)

    return rule


def _largest(w: Writer, eqn: Any, x: list[Value]) -> Value:
    if x[0].dtype.kind != "i" or not x[0].wide:
        raise NoVectorRule(f"{eqn.primitive.name} of these")
    return w.largest(x[0])


def _reduced_precision(w: Writer, eqn: Any, x: list[Value]) -> Value:
    info = np.finfo(x[0].dtype)
    if (eqn.params["exponent_bits"], eqn.params["mantissa_bits"]) != (info.iexp, info.nmant):
        raise NoVectorRule("reduce_precision")
    # The rounded number: no product that a sum may be contracted with.
    return Value(x[0].names, x[0].dtype, x[0].wide, x[0].known)


def _spread(w: Writer, eqn: Any, x: list[Value]) -> Value:
    return w.spread(x[0]) if eqn.outvars[0].aval.shape else x[0]


def _comparison(how: str) -> Rule:
    return lambda w, eqn, x: w.compare(how, *x)


def _by_library(name: str) -> Rule:
    return lambda w, eqn, x: w.function(name, *x)


RULES: dict[str, Rule] = {
    **{name: _comparison(name) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    **{name: _by_library(name) for name in FUNCTIONS},
    **dict.fromkeys(("add", "add_any"), lambda w, eqn, x: w.add(*x)),
    **dict.fromkeys(("copy", "copy_p", "optimization_barrier", "stop_gradient"), lambda w, eqn, x: x[0]),
    **dict.fromkeys(("broadcast_in_dim", "reshape", "squeeze", "expand_dims"), _spread),
    "abs": _absolute,
    "and": lambda w, eqn, x: w.operate("and", *x),
    "ceil": lambda w, eqn, x: w.intrinsic("ceil", x[0]),
    "clamp": _clamp,
    "convert_element_type": lambda w, eqn, x: w.convert(x[0], eqn.params["new_dtype"]),
    "div": lambda w, eqn, x: w.divide(x[0], x[1]),
    "floor": lambda w, eqn, x: w.intrinsic("floor", x[0]),
    "integer_pow": lambda w, eqn, x: w.integer_power(x[0], eqn.params["y"]),
    "is_finite": _finite,
    "logistic": _logistic,
    "max": lambda w, eqn, x: w.larger(x[0], x[1]),
    "min": lambda w, eqn, x: w.larger(x[0], x[1], "lt"),
    "mul": lambda w, eqn, x: w.multiply(*x),
    "neg": lambda w, eqn, x: w.negate(x[0]),
    "not": _not,
    "or": lambda w, eqn, x: w.operate("or", *x),
    "pow": _power,
    "reduce_max": _largest,
    "reduce_precision": _reduced_precision,
    "rem": lambda w, eqn, x: w.divide(x[0], x[1], remainder=True),
    "round": _round,
    "rsqrt": _rsqrt,
    "select_n": _select,
    "shift_left": _shift("shl"),
    "shift_right_arithmetic": _shift("ashr"),
    "shift_right_logical": _shift("lshr"),
    "sign": lambda w, eqn, x: w.sign(x[0]),
    "sqrt": lambda w, eqn, x: w.intrinsic("sqrt", x[0]),
    "square": lambda w, eqn, x: w.multiply(x[0], x[0]),
    "sub": lambda w, eqn, x: w.subtract(*x),
    "xor": lambda w, eqn, x: w.operate("xor", *x),
}
"""A primitive's name, and the instructions it becomes."""


def missing(names: Iterable[str]) -> set[str]:
    """Those elementwise primitives that have no rule here."""
    return set(names) - set(RULES)


# A program


def write_jaxpr(w: Writer, jaxpr: Any, consts: Sequence[Value], args: Sequence[Value]) -> list[Value]:
    """Write a jaxpr's equations; gives the values of its results."""
    env: dict[Any, Value] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))

    def read(v: Any) -> Value:
        aval: Any = v.aval
        return w.number(v.val, aval.dtype, bool(aval.shape)) if isinstance(v, Literal) else env[v]

    for eqn in jaxpr.eqns:
        results = _write_equation(w, eqn, [read(v) for v in eqn.invars])
        env.update(zip(eqn.outvars, results, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _closed(w: Writer, closed: Any, args: Sequence[Value]) -> list[Value]:
    consts = [w.number(np.asarray(c)[()], np.asarray(c).dtype) for c in getattr(closed, "consts", ())]
    return write_jaxpr(w, getattr(closed, "jaxpr", closed), consts, args)


def _write_equation(w: Writer, eqn: Any, x: list[Value]) -> list[Value]:
    name = eqn.primitive.name
    if name in CALLS:
        return _closed(w, eqn.params[CALLS[name]], x)
    if name in CONTROL:
        return CONTROL[name](w, eqn, x)
    rule = RULES.get(name)
    if rule is None:
        raise NoVectorRule(f"the primitive {name}")
    return [rule(w, eqn, x)]


def _write_while(w: Writer, eqn: Any, x: list[Value]) -> list[Value]:
    """A loop; what it carries stands in registers."""
    p = eqn.params
    a, b = p["cond_nconsts"], p["cond_nconsts"] + p["body_nconsts"]
    asked, held = x[:a], x[a:b]
    head, body, done, before = w.label(), w.label(), w.label(), w.block
    first = _as_results(w, x[b:], eqn)
    w.lines.append(f"  br label %{head}")
    w.open(head)
    at = len(w.lines)
    carry = [Value(w.fresh(v.wide), v.dtype, v.wide) for v in first]
    w.lines += [""] * sum(len(v.names) for v in carry)
    [goes_on] = _closed(w, p["cond_jaxpr"], [*asked, *carry])
    w.lines.append(f"  br i1 {goes_on.names[0]}, label %{body}, label %{done}")
    w.open(body)
    after = _as_results(w, _closed(w, p["body_jaxpr"], [*held, *carry]), eqn)
    w.lines.append(f"  br label %{head}")
    for value, one, other in zip(carry, first, after, strict=True):
        for phi in _phis(w, value, (one, before), (other, w.block)):
            w.lines[at] = phi
            at += 1
    w.open(done)
    return carry


def _as_results(w: Writer, values: Sequence[Value], eqn: Any) -> list[Value]:
    """Vectors where an equation gives vectors."""
    return [w.spread(v) if out.aval.shape else v for v, out in zip(values, eqn.outvars, strict=True)]


def _phis(w: Writer, value: Value, *ways: tuple[Value, str]) -> list[str]:
    """What a value is, by the block that was left last."""
    kind = w.type_of(value.dtype, value.wide)
    return [
        f"  {name} = phi {kind} {', '.join(f'[{v.names[i]}, %{block}]' for v, block in ways)}"
        for i, name in enumerate(value.names)
    ]


def _write_branch(w: Writer, eqn: Any, x: list[Value]) -> list[Value]:
    """One of two branches, which all lanes take together."""
    which, *args = x
    if which.wide or len(eqn.params["branches"]) != 2:
        raise NoVectorRule("a branch that lanes take apart")
    labels, done = (w.label(), w.label()), w.label()
    yes = which if which.dtype.kind == "b" else w.compare("gt", which, w.number(0, which.dtype))
    w.lines.append(f"  br i1 {yes.names[0]}, label %{labels[1]}, label %{labels[0]}")
    ends = []
    for label, branch in zip(labels, eqn.params["branches"], strict=True):
        w.open(label)
        ends.append((_as_results(w, _closed(w, branch, args), eqn), w.block))
        w.lines.append(f"  br label %{done}")
    w.open(done)
    (no, no_block), (yes_values, yes_block) = ends
    results = [Value(w.fresh(a.wide), a.dtype, a.wide) for a in no]
    for value, a, b in zip(results, no, yes_values, strict=True):
        w.lines += _phis(w, value, (a, no_block), (b, yes_block))
    return results


CONTROL: dict[str, Callable[[Writer, Any, list[Value]], list[Value]]] = {"while": _write_while, "cond": _write_branch}
"""Primitives that hold programs of their own, of which one runs, or one runs many times."""


# A whole function


GROUP = """
define internal void @group(ptr noalias %in, ptr noalias %out, ptr noalias %memo, i64 %at) #0 noinline {{
entry:
{body}
  ret void
}}
"""

RUN = """
define void @run(ptr %in, ptr %out, ptr %next, i64 %groups) #0 {{
entry:
{before}  %memo = alloca i8, i64 {memory}, align 64
  call void @llvm.memset.p0.i64(ptr %memo, i8 -1, i64 {memory}, i1 false)
  br label %more
more:
  %n = atomicrmw add ptr %next, i64 1 monotonic
  %left = icmp slt i64 %n, %groups
  br i1 %left, label %go, label %end
go:
  %at = mul i64 %n, {width}
  call void @group(ptr %in, ptr %out, ptr %memo, i64 %at)
  br label %more
end:
{after}  ret void
}}
"""

FLUSH = (
    """  %held = alloca i32
  %ours = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %held)
  %mode = load i32, ptr %held
  %flush = or i32 %mode, 32832
  store i32 %flush, ptr %ours
  call void @llvm.x86.sse.ldmxcsr(ptr %ours)
""",
    "  call void @llvm.x86.sse.ldmxcsr(ptr %held)\n",
    "".join(
        f"declare void @llvm.{name}\n"
        for name in ("memset.p0.i64(ptr, i8, i64, i1)", "x86.sse.stmxcsr(ptr)", "x86.sse.ldmxcsr(ptr)")
    ),
)
"""Numbers below the smallest normal one are 0, as in what XLA compiles."""


def write_module(w: Writer, closed: Any) -> str:
    """The module of a function of columns: ``run(in, out, next, groups)`` takes groups of lanes one after the other.

    ``in`` and ``out`` point to the columns, one an argument or result; arguments that are no vectors are the same for
    all lanes. ``next`` counts the groups that are begun, so that any number of threads may run it at once.
    """
    jaxpr = closed.jaxpr
    args = [_load(w, i, v.aval) for i, v in enumerate(jaxpr.invars)]
    consts = [w.number(np.asarray(c)[()], np.asarray(c).dtype) for c in closed.consts]
    for i, v in enumerate(write_jaxpr(w, jaxpr, consts, args)):
        _store(w, i, w.spread(v))
    before, after, declared = FLUSH
    attributes = (
        f'attributes #0 = {{ nounwind alignstack=64 "stackrealign" "prefer-vector-width"="{w.target.bits}"'
        f' "min-legal-vector-width"="{w.target.bits}" }}\n'
        "attributes #1 = { nounwind willreturn memory(none) }\n"
        '!0 = !{!"branch_weights", i32 1000000, i32 1}\n'
    )
    return "".join([
        f'target triple = "{w.target.triple}"\n', declared, "\n".join(w.declared.values()), "\n",
        *w.functions.values(), GROUP.format(body="\n".join(w.lines)),
        RUN.format(before=before, after=after, width=w.width, memory=len(w.tables) * TABLE_BYTES or 64), attributes,
    ])  # fmt: skip


def _column(w: Writer, table: str, i: int) -> str:
    """The place of a column."""
    [at], [base] = w.fresh(), w.fresh()
    w.lines.append(f"  {at} = getelementptr ptr, ptr {table}, i64 {i}")
    w.lines.append(f"  {base} = load ptr, ptr {at}, align 8")
    return base


def _places(w: Writer, base: str, dtype: Any) -> Value:
    """The places of the registers that hold a column's numbers of this group."""
    kind = w.type_of(dtype, False)
    [first] = w.fresh()
    w.lines.append(f"  {first} = getelementptr {kind}, ptr {base}, i64 %at")
    places = w.fresh(True)
    for n, place in enumerate(places):
        w.lines.append(f"  {place} = getelementptr {kind}, ptr {first}, i64 {n * w.lanes}")
    return Value(places, dtype, True)


def _load(w: Writer, i: int, aval: Any) -> Value:
    wide, stored = bool(aval.shape), np.dtype(np.int8 if aval.dtype == np.bool_ else aval.dtype)
    base = _column(w, "%in", i)
    at = _places(w, base, stored) if wide else Value([base], stored, False)
    value = w.each(stored, wide, f"load {w.type_of(stored, wide)}, ptr {{0}}, align {stored.itemsize}", at)
    return w.convert(value, aval.dtype)


def _store(w: Writer, i: int, v: Value) -> None:
    value = w.convert(v, np.int8) if v.dtype == np.bool_ else v
    for name, place in zip(value.names, _places(w, _column(w, "%out", i), value.dtype).names, strict=True):
        w.lines.append(f"  store {w.type_of(value.dtype, True)} {name}, ptr {place}, align {value.dtype.itemsize}")
