"""LLVM instructions on numbers and on vectors of lanes, written line by line.

Sums of products are contracted here, where their form decides and not the compiler, so that the same step gives the
same bits wherever it is written out; nothing else is reordered, and nothing is assumed of NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gdbench.kernels.llvm import Target

KINDS = {
    "bool": "i1", "int8": "i8", "uint8": "i8", "int16": "i16", "uint16": "i16", "int32": "i32", "uint32": "i32",
    "int64": "i64", "uint64": "i64", "float32": "float", "float64": "double",
}  # fmt: skip
"""Types of numbers, and what LLVM calls them."""

FUNCTIONS = frozenset(
    "acos acosh asin asinh atan atan2 atanh cbrt cos cosh erf erfc exp exp2 expm1 lgamma log log1p pow sin sinh tan"
    " tanh".split()
)
"""Primitives that the C library computes, under the same names."""


class NoVectorRule(NotImplementedError):
    """A program holds something that has no rule here; the message names it."""


class Value:
    """A number, or a vector of lanes in registers of equal size: what the text calls them.

    Attributes:
        names: of the number, or of the registers.
        dtype: its type.
        wide: whether it is a vector.
        factors: the two factors of which it is the rounded product, or None.
        known: the number that it is everywhere, where that is known, or None.
    """

    __slots__ = ("dtype", "factors", "known", "names", "wide")

    def __init__(self, names: Sequence[str], dtype: Any, wide: bool, known: Any = None) -> None:
        self.names, self.dtype, self.wide, self.known = tuple(names), np.dtype(dtype), wide, known
        self.factors: tuple[Value, Value] | None = None

    @property
    def real(self) -> bool:
        """Whether it is a floating-point number."""
        return self.dtype.kind == "f"


def _spelled(number: Any, dtype: Any) -> str:
    """A number as LLVM reads it: reals by their bits in double precision."""
    if dtype.kind == "b":
        return "true" if number else "false"
    if dtype.kind != "f":
        return str(int(np.asarray(number).astype(dtype).astype(f"i{dtype.itemsize}")))
    return f"0x{np.asarray(number, dtype).astype(np.float64).view(np.uint64)[()]:016X}"


class Writer:
    """The body of a function, written line by line.

    Attributes:
        width: lanes of a vector.
        lanes: of a register.
        target: what the machine has.
        declared: functions of other modules that are called, and their declarations.
        functions: those written beside it, by their names.
        tables: what is remembered, one after the other in the memory of a thread: functions and their first operands.
    """

    def __init__(self, width: int, dtype: Any, target: Target) -> None:
        self.width, self.target = width, target
        self.lanes = min(width, target.bits // (8 * np.dtype(dtype).itemsize))
        self.parts = width // self.lanes
        self.lines: list[str] = []
        self.declared: dict[str, str] = {}
        self.functions: dict[str, str] = {}
        self.tables: list[tuple[str, ...]] = []
        self.block, self.count = "entry", 0

    # Text

    def fresh(self, wide: bool = False) -> list[str]:
        """Names that are not taken, one a register."""
        self.count += 1
        return [f"%v{self.count}.{i}" for i in range(self.parts)] if wide else [f"%v{self.count}"]

    def type_of(self, dtype: Any, wide: bool) -> str:
        """The LLVM type of a number, or of a register of them."""
        kind = KINDS.get(np.dtype(dtype).name)
        if kind is None:
            raise NoVectorRule(f"numbers of type {np.dtype(dtype).name}")
        return f"<{self.lanes} x {kind}>" if wide else kind

    def each(self, dtype: Any, wide: bool, text: str, *values: Value) -> Value:
        """The result of an instruction in every register; ``{0}``, ``{1}``, …: the operands."""
        out = Value(self.fresh(wide), dtype, wide)
        for i, name in enumerate(out.names):
            given = [v.names[i if v.wide else 0] for v in values]
            self.lines.append(f"  {name} = {text.format(*given)}")
        return out

    def label(self) -> str:
        """A name for a block."""
        self.count += 1
        return f"b{self.count}"

    def open(self, label: str) -> None:
        """Begin a block."""
        self.lines.append(f"{label}:")
        self.block = label

    # Values

    def number(self, number: Any, dtype: Any, wide: bool = False) -> Value:
        """A known number."""
        dtype = np.dtype(dtype)
        value = Value([_spelled(number, dtype)], dtype, False, number)
        return self.spread(value) if wide else value

    def spread(self, v: Value) -> Value:
        """The vector of the same number in all lanes."""
        if v.wide:
            return v
        whole, kind = self.type_of(v.dtype, True), KINDS[v.dtype.name]
        if v.known is not None:
            name = f"<{', '.join([f'{kind} {v.names[0]}'] * self.lanes)}>"
            return Value([name] * self.parts, v.dtype, True, v.known)
        [first], [name] = self.fresh(), self.fresh()
        mask = f"<{self.lanes} x i32> zeroinitializer"
        self.lines.append(f"  {first} = insertelement {whole} poison, {kind} {v.names[0]}, i32 0")
        self.lines.append(f"  {name} = shufflevector {whole} {first}, {whole} poison, {mask}")
        return Value([name] * self.parts, v.dtype, True)

    def alike(self, *values: Value) -> list[Value]:
        """All as vectors if one is."""
        return [self.spread(v) for v in values] if any(v.wide for v in values) else list(values)

    def operate(self, operation: str, *values: Value, dtype: Any = None) -> Value:
        """An instruction on operands of one type."""
        values = tuple(self.alike(*values))
        first = values[0]
        places = ", ".join(f"{{{i}}}" for i in range(len(values)))
        text = f"{operation} {self.type_of(first.dtype, first.wide)} {places}"
        return self.each(first.dtype if dtype is None else dtype, first.wide, text, *values)

    def call(self, name: str, *values: Value, dtype: Any = None, more: str = "") -> Value:
        """A function of vectors or of numbers that is pure; ``more``: a further argument."""
        values = tuple(self.alike(*values))
        dtype, wide = values[0].dtype if dtype is None else dtype, values[0].wide
        result, kinds = self.type_of(dtype, wide), [self.type_of(v.dtype, v.wide) for v in values]
        self.declared[name] = f"declare {result} {name}({', '.join(kinds + more.split()[:1])}) #1"
        given = [f"{kind} {{{i}}}" for i, kind in enumerate(kinds)] + ([more] if more else [])
        return self.each(dtype, wide, f"call {result} {name}({', '.join(given)})", *values)

    def suffix(self, dtype: Any, wide: bool) -> str:
        """What LLVM adds to the name of an intrinsic function for a type."""
        kind = KINDS[np.dtype(dtype).name]
        kind = {"float": "f32", "double": "f64"}.get(kind, kind)
        return f"v{self.lanes}{kind}" if wide else kind

    def intrinsic(self, name: str, *values: Value, more: str = "") -> Value:
        """An intrinsic function of LLVM, named after the type of its operands."""
        values = tuple(self.alike(*values))
        return self.call(f"@llvm.{name}.{self.suffix(values[0].dtype, values[0].wide)}", *values, more=more)

    # Arithmetic

    def add(self, a: Value, b: Value) -> Value:
        """a + b, contracted with a product."""
        if not a.real:
            return self.operate("or" if a.dtype.kind == "b" else "add", a, b)
        if a.known == 0 or b.known == 0:
            # Where elements were put in place by adding zeros; a sum is -0 then, not 0.
            return b if a.known == 0 else a
        if self.target.contracts:
            if b.factors:
                return self.intrinsic("fma", *b.factors, a)
            if a.factors:
                return self.intrinsic("fma", *a.factors, b)
        return self.operate("fadd", a, b)

    def subtract(self, a: Value, b: Value) -> Value:
        """a - b, contracted with a product."""
        if not a.real:
            return self.operate("sub", a, b)
        if a.known == 0 or b.known == 0:
            return a if b.known == 0 else self.negate(b)
        if self.target.contracts:
            if b.factors:
                return self.intrinsic("fma", self.operate("fneg", b.factors[0]), b.factors[1], a)
            if a.factors:
                return self.intrinsic("fma", *a.factors, self.operate("fneg", b))
        return self.operate("fsub", a, b)

    def multiply(self, a: Value, b: Value) -> Value:
        """a b."""
        if not a.real:
            return self.operate("mul", a, b) if a.dtype.kind != "b" else self.operate("and", a, b)
        out = self.operate("fmul", a, b)
        out.factors = (a, b)
        return out

    def negate(self, a: Value) -> Value:
        """-a."""
        if not a.real:
            return self.operate("sub", self.number(0, a.dtype, a.wide), a)
        out = self.operate("fneg", a)
        out.factors = a.factors and (self.operate("fneg", a.factors[0]), a.factors[1])
        return out

    def compare(self, how: str, a: Value, b: Value) -> Value:
        """A truth value: eq, ne, lt, le, gt or ge."""
        if a.real:
            return self.operate(f"fcmp {'une' if how == 'ne' else 'o' + how}", a, b, dtype=bool)
        signed = "" if how in ("eq", "ne") else "s" if a.dtype.kind == "i" else "u"
        return self.operate(f"icmp {signed}{how}", a, b, dtype=bool)

    def choose(self, which: Value, yes: Value, no: Value) -> Value:
        """``yes`` where ``which``, else ``no``."""
        if which.wide or yes.wide or no.wide:
            yes, no = self.spread(yes), self.spread(no)
        kind = self.type_of(yes.dtype, yes.wide)
        text = f"select {self.type_of(bool, which.wide)} {{0}}, {kind} {{1}}, {kind} {{2}}"
        return self.each(yes.dtype, yes.wide, text, which, yes, no)

    def larger(self, a: Value, b: Value, how: str = "gt") -> Value:
        """The larger of two numbers (``lt``: the smaller), NaN if one is."""
        if a.dtype.kind == "b":
            return self.operate("or" if how == "gt" else "and", a, b)
        if not a.real:
            return self.intrinsic(("s" if a.dtype.kind == "i" else "u") + ("max" if how == "gt" else "min"), a, b)
        a, b = self.alike(a, b)
        better = self.choose(self.compare(how, a, b), a, b)
        return self.choose(self.operate("fcmp uno", a, a, dtype=bool), a, better)

    def integer_power(self, a: Value, power: int) -> Value:
        """a^n by products."""
        if power < 0:
            one = self.number(1, a.dtype, a.wide)
            return self.operate("fdiv", one, self.integer_power(a, -power))
        out: Value | None = None
        while power:
            if power & 1:
                out = a if out is None else self.multiply(out, a)
            power >>= 1
            a = self.multiply(a, a) if power else a
        return self.number(1, a.dtype, a.wide) if out is None else out

    def sign(self, a: Value) -> Value:
        """-1, 0 or 1; NaN stays."""
        zero, one = self.number(0, a.dtype, a.wide), self.number(1, a.dtype, a.wide)
        if not a.real:
            negative = self.compare("lt", a, zero) if a.dtype.kind == "i" else self.number(False, bool, a.wide)
            signed = self.choose(negative, self.number(-1, a.dtype, a.wide), one)
            return self.choose(self.compare("eq", a, zero), zero, signed)
        return self.choose(self.operate("fcmp ueq", a, zero, dtype=bool), a, self.intrinsic("copysign", one, a))

    def divide(self, a: Value, b: Value, remainder: bool = False) -> Value:
        """a / b, or what is left; of whole numbers as XLA has it where b is 0."""
        if a.real:
            return self.operate("frem" if remainder else "fdiv", a, b)
        a, b = self.alike(a, b)
        zero, one = self.number(0, b.dtype, b.wide), self.number(1, b.dtype, b.wide)
        none = self.compare("eq", b, zero)
        kind = "s" if a.dtype.kind == "i" else "u"
        out = self.operate(f"{kind}rem" if remainder else f"{kind}div", a, self.choose(none, one, b))
        return self.choose(none, a if remainder else self.number(-1, a.dtype, a.wide), out)

    def convert(self, a: Value, dtype: Any) -> Value:
        """The same number in another type; reals too large for a whole number become its largest."""
        dtype, source = np.dtype(dtype), a.dtype
        if dtype == source:
            return a
        if a.known is not None:
            return self.number(np.asarray(a.known, source).astype(dtype)[()], dtype, a.wide)
        if dtype.kind == "b":
            return self.compare("ne", a, self.number(0, source, a.wide))
        if a.real and dtype.kind != "f":
            name = f"fpto{'si' if dtype.kind == 'i' else 'ui'}.sat"
            return self.call(f"@llvm.{name}.{self.suffix(dtype, a.wide)}.{self.suffix(source, a.wide)}", a, dtype=dtype)
        if not a.real and dtype.kind != "f" and dtype.itemsize == source.itemsize and source.kind != "b":
            return Value(a.names, dtype, a.wide)
        text = f"{_conversion(source, dtype)} {self.type_of(source, a.wide)} {{0}} to {self.type_of(dtype, a.wide)}"
        return self.each(dtype, a.wide, text, a)

    def function(self, name: str, *values: Value) -> Value:
        """A function of the C library: of whole registers where it has them, else number by number."""
        values = tuple(self.alike(*values))
        name += "f" if values[0].dtype.itemsize == 4 else ""
        vector = self.target.vector_function(name, self.lanes, len(values)) if values[0].wide else None
        if not values[0].wide:
            return self.remembered(name, *values)
        if vector:
            return self.call(f"@{vector}", *values)
        kind, whole = self.type_of(values[0].dtype, False), self.type_of(values[0].dtype, True)
        self.declared[f"@{name}"] = f"declare {kind} @{name}({', '.join([kind] * len(values))}) #1"
        out = Value(["poison"] * self.parts, values[0].dtype, True)
        for lane in range(self.lanes):
            one = [self.each(v.dtype, True, f"extractelement {whole} {{0}}, i32 {lane}", v) for v in values]
            given = ", ".join(f"{kind} {{{i}}}" for i in range(len(one)))
            found = self.each(out.dtype, True, f"call {kind} @{name}({given})", *one)
            out = self.each(out.dtype, True, f"insertelement {whole} {{0}}, {kind} {{1}}, i32 {lane}", out, found)
        return out

    def remembered(self, name: str, *values: Value) -> Value:
        """A function of the C library of numbers, asked once for what every group of lanes will ask again.

        What lanes share changes from step to step alone, so that a thread finds nearly all of it in its table.
        """
        kind, table = self.type_of(values[0].dtype, False), (name, *(v.names[0] for v in values[:-1]))
        if table not in self.tables and len(self.tables) == MOST_TABLES:
            return self.call(f"@{name}", *values)
        if table not in self.tables:
            self.tables.append(table)
        self.declared[f"@{name}"] = f"declare {kind} @{name}({', '.join([kind] * len(values))}) #1"
        self.functions[name] = _memory(name, values[0].dtype, len(values))
        [at] = self.fresh()
        self.lines.append(f"  {at} = getelementptr i8, ptr %memo, i64 {self.tables.index(table) * TABLE_BYTES}")
        given = ", ".join(f"{kind} {{{i}}}" for i in range(len(values)))
        return self.each(values[0].dtype, False, f"call {kind} @remembered.{name}(ptr {at}, {given})", *values)

    def largest(self, v: Value) -> Value:
        """The largest of the whole numbers in all lanes."""
        kind, whole, suffix = self.type_of(v.dtype, False), self.type_of(v.dtype, True), self.suffix(v.dtype, True)
        pair, across = f"@llvm.smax.{suffix}", f"@llvm.vector.reduce.smax.{suffix}"
        self.declared[pair] = f"declare {whole} {pair}({whole}, {whole}) #1"
        self.declared[across] = f"declare {kind} {across}({whole}) #1"
        top = v.names[0]
        for name in v.names[1:]:
            [larger] = self.fresh()
            self.lines.append(f"  {larger} = call {whole} {pair}({whole} {top}, {whole} {name})")
            top = larger
        return self.each(v.dtype, False, f"call {kind} {across}({whole} {top})")


TABLE = 4096
"""Results of a function of the C library that a thread remembers."""

TABLE_BYTES = TABLE * 3 * 8

MOST_TABLES = 8
"""Functions, or functions with another first operand, that are remembered."""


def _memory(name: str, dtype: Any, operands: int) -> str:
    """A function that looks its operands up first, in entries of two operands and a result.

    The last operand says where: as the number that it is, if it is a whole one, for most count steps; else by its bits.
    """
    bits, kind = 8 * np.dtype(dtype).itemsize, KINDS[np.dtype(dtype).name]
    given, last = ", ".join(f"{kind} %{'ab'[i]}" for i in range(operands)), "ab"[operands - 1]
    word, entry, real = f"i{bits}", f"[3 x {kind}]", f"f{bits}"
    steep = 0x9E3779B1 if bits == 32 else 0x9E3779B97F4A7C15
    return f"""
define internal {kind} @remembered.{name}(ptr %table, {given}) #0 alwaysinline {{
  %x = bitcast {kind} %a to {word}
  %y = bitcast {kind} %{last} to {word}
  %p = mul {word} %y, {steep}
  %h = lshr {word} %p, {bits - TABLE.bit_length() + 1}
  %n = call {word} @llvm.fptosi.sat.{word}.{real}({kind} %{last})
  %n1 = sitofp {word} %n to {kind}
  %whole = fcmp oeq {kind} %n1, %{last}
  %m = and {word} %n, {TABLE - 1}
  %i = select i1 %whole, {word} %m, {word} %h
  %at = getelementptr {entry}, ptr %table, {word} %i
  %at1 = getelementptr {entry}, ptr %at, i64 0, i64 1
  %at2 = getelementptr {entry}, ptr %at, i64 0, i64 2
  %x0 = load {word}, ptr %at
  %y0 = load {word}, ptr %at1
  %same_x = icmp eq {word} %x, %x0
  %same_y = icmp eq {word} %y, %y0
  %found = and i1 %same_x, %same_y
  br i1 %found, label %yes, label %no, !prof !0
yes:
  %old = load {kind}, ptr %at2
  br label %end
no:
  %new = call {kind} @{name}({given})
  store {word} %x, ptr %at
  store {word} %y, ptr %at1
  store {kind} %new, ptr %at2
  br label %end
end:
  %out = phi {kind} [%old, %yes], [%new, %no]
  ret {kind} %out
}}
"""


def _conversion(source: Any, dtype: Any) -> str:
    """LLVM's instruction between two types of numbers."""
    if source.kind == "f":
        return "fpext" if dtype.itemsize > source.itemsize else "fptrunc"
    if dtype.kind == "f":
        return "sitofp" if source.kind == "i" else "uitofp"
    if source.kind != "b" and dtype.itemsize < source.itemsize:
        return "trunc"
    return "sext" if source.kind == "i" else "zext"
