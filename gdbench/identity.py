"""What stands for code and data in the identity of a cell."""

from __future__ import annotations

import functools
import hashlib
import inspect
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import gdbench

OURS = ("gdbench", "optax", "jax", "jaxlib", "builtins", "numpy", "typing", "types", "functools", "collections")


def code_identity(value: Any) -> str:
    """A text that differs when a function would do something else.

    A function of gdbench, or of a package whose version is recorded, is known by its qualified name; user code by the
    whole file it stands in, for a rule may lean on anything there; code without a file (typed into a prompt) by its
    bytecode. What a function closes over, the object a method belongs to, and the arguments of a ``functools.partial``
    belong to it.
    """
    return _Walk().describe(value)


def only_ours(value: Any) -> bool:
    """Whether all code that a value leans on belongs to gdbench or to a package of ``OURS``."""
    walk = _Walk()
    walk.describe(value)
    return not walk.foreign


@functools.cache
def numerical_code() -> str:
    """Hash of gdbench's own numerical source: another formula is another cell."""
    digest = hashlib.sha256(gdbench.__version__.encode())
    root = Path(__file__).parent
    for part in (
        "contracts.py", "grid.py", "plan.py", "rows.py", "cells.py", "kernels/*.py", "problems/**/*.py",
        "transforms/*.py", "optimizers/**/*.py", "schedules/*.py",
    ):  # fmt: skip
        for path in sorted(root.glob(part)):
            digest.update(path.read_bytes())
    return digest.hexdigest()


class _Walk:
    """One walk over the objects that a function leans on; each is described once, and numbered where it comes again."""

    def __init__(self) -> None:
        self.seen: dict[int, tuple[int, Any]] = {}
        self.foreign = False

    def describe(self, value: Any) -> str:
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
            return repr(value)
        if id(value) in self.seen:
            return f"#{self.seen[id(value)][0]}"
        # The object is kept, so that its address is not given to another one meanwhile.
        self.seen[id(value)] = (len(self.seen), value)
        if isinstance(value, Mapping):
            return "{" + ", ".join(f"{key!r}: {self.describe(item)}" for key, item in value.items()) + "}"
        if isinstance(value, (list, tuple)):
            return f"{type(value).__name__}(" + ", ".join(map(self.describe, value)) + ")"
        if isinstance(value, functools.partial):
            return f"partial({self.describe(value.func)}, {self.describe(value.args)}, {self.describe(value.keywords)})"
        if isinstance(value, types.CodeType):
            return f"{value.co_code.hex()} {value.co_names} {self.describe(value.co_consts)}"
        if isinstance(value, types.ModuleType):
            return f"module {value.__name__}"
        if inspect.ismethod(value):
            return f"{self.describe(value.__func__)} of {self.describe(value.__self__)}"
        if isinstance(value, (type, types.FunctionType)):
            return self.function(value)
        if hasattr(value, "dtype") and hasattr(value, "__array__"):
            array = np.asarray(value)
            return f"array({array.shape}, {array.dtype}, {hashlib.sha256(array.tobytes()).hexdigest()})"
        return self.thing(value)

    def function(self, function: Any) -> str:
        """A function or a class."""
        name = f"{function.__module__}.{function.__qualname__}"
        theirs = str(function.__module__).split(".")[0] not in OURS
        parts = [name]
        code = getattr(function, "__code__", None)
        if theirs:
            self.foreign = True
            parts.append(_source(function) or self.describe(code))
        if isinstance(function, type):
            return " ".join(parts)
        parts += [self.describe(function.__defaults__), self.describe(function.__kwdefaults__)] if theirs else []
        parts.append(self.describe([cell.cell_contents for cell in function.__closure__ or ()]))
        return " ".join(parts)

    def thing(self, value: Any) -> str:
        """An object: its class, and what it holds where that is not told by a version."""
        kind = type(value)
        held = getattr(value, "__dict__", None)
        if held and kind.__module__.split(".")[0] == "gdbench":
            # Its class is known by the version; what it holds may be a user's.
            return f"{kind.__qualname__} {self.describe(dict(held))}"
        if kind.__module__.split(".")[0] in OURS:
            # A jitted or wrapped function is what it wraps.
            wrapped = getattr(value, "__wrapped__", None)
            inside = self.describe(wrapped) if wrapped is not None else getattr(value, "__qualname__", "")
            return f"{kind.__qualname__} {inside}" + ("" if " at 0x" in repr(value) else repr(value))
        self.foreign = True
        plain = "" if " at 0x" in repr(value) else repr(value)
        return f"{self.describe(kind)} {self.describe(dict(held)) if held else plain}"


def _source(function: Any) -> str | None:
    """The text of the file that a function or class stands in; None for code without a file."""
    try:
        file = inspect.getsourcefile(function)
        if file is None:
            return None
        with open(file, encoding="utf-8") as source:
            return source.read()
    except (OSError, TypeError):
        return None  # "<stdin>" and its like: the caller takes the bytecode
