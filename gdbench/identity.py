"""What stands for code in the identity of a cell."""

from __future__ import annotations

import inspect
from typing import Any

OURS = ("gdbench", "optax", "jax", "builtins", "functools")


def code_identity(function: Any) -> str:
    """The qualified name of what belongs to gdbench or to a package whose version is recorded; else source text.

    User code is known by the whole file it stands in, for a rule may lean on anything there; code without a file
    (typed into a prompt) by its bytecode and the values it closes over.
    """
    module = getattr(function, "__module__", None) or type(function).__module__
    name = f"{module}.{getattr(function, '__qualname__', type(function).__qualname__)}"
    if module.split(".")[0] in OURS:
        return name
    try:
        file = inspect.getsourcefile(function)
        if file is not None:
            with open(file, encoding="utf-8") as source:
                return name + source.read()
    except (OSError, TypeError):
        pass  # no file behind it: the bytecode below stands for it
    code = getattr(function, "__code__", None)
    if code is None:
        return name + repr(function)
    closed = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    return f"{name} {code.co_code.hex()} {code.co_consts} {code.co_names} {closed}"
