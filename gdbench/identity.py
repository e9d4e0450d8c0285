"""What stands for code and data in the identity of a cell."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

OURS = ("gdbench", "optax", "jax", "jaxlib", "builtins", "numpy")


def code_identity(value: Any, within: tuple[int, ...] = ()) -> str:
    """A text that differs when a function would do something else.

    A function of gdbench, or of a package whose version is recorded, is known by its qualified name; user code by the
    whole file it stands in, for a rule may lean on anything there; code without a file (typed into a prompt) by its
    bytecode. What a function closes over, and the arguments of a ``functools.partial``, belong to it. ``within`` are
    the objects that lead here: one that holds itself is named once.
    """
    if id(value) in within:
        return "itself"
    inner = functools.partial(code_identity, within=(*within, id(value)))
    if isinstance(value, functools.partial):
        return f"partial({inner(value.func)}, {inner(value.args)}, {inner(value.keywords)})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {inner(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}(" + ", ".join(inner(item) for item in value) + ")"
    if isinstance(value, np.ndarray):
        return f"array({value.shape}, {value.dtype}, {hashlib.sha256(value.tobytes()).hexdigest()})"
    if not callable(value):
        text = repr(value)
        # The address of an object is not what it is.
        return text if " at 0x" not in text else f"{type(value).__qualname__}({inner(vars_of(value))})"
    return _function_identity(value, inner)


def vars_of(value: Any) -> dict[str, Any]:
    """The attributes of an object, none where it keeps them elsewhere."""
    return dict(getattr(value, "__dict__", {}))


def _function_identity(function: Any, inner: Any) -> str:
    module = getattr(function, "__module__", None) or type(function).__module__
    name = f"{module}.{getattr(function, '__qualname__', type(function).__qualname__)}"
    code = getattr(function, "__code__", None)
    parts = [name]
    if module.split(".")[0] not in OURS:
        parts.append(_source(function) or ("" if code is None else f"{code.co_code.hex()} {code.co_consts}"))
        parts.append(inner(getattr(function, "__defaults__", None)))
    if code is None and not inspect.isclass(function):
        parts.append(inner(vars_of(function)))
    closed = getattr(function, "__closure__", None) or ()
    if closed:
        parts.append(inner([cell.cell_contents for cell in closed]))
    return " ".join(parts)


def _source(function: Any) -> str | None:
    """The text of the file that a function stands in; None for code without a file."""
    try:
        file = inspect.getsourcefile(function)
    except TypeError:
        file = inspect.getsourcefile(type(function)) if type(function).__module__ != "builtins" else None
    if file is None:
        return None
    try:
        with open(file, encoding="utf-8") as source:
            return source.read()
    except OSError:
        return None  # "<stdin>" and its like: the caller takes the bytecode
