"""Gathers a folder into a registry: one more file in the folder is one more entry."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from collections.abc import Mapping
from typing import Protocol, TypeVar

from gdbench.errors import UnknownNameError, did_you_mean


class Named(Protocol):
    """Anything a catalogue can hold."""

    @property
    def name(self) -> str:
        """The name it is found by."""
        ...


T = TypeVar("T", bound=Named)


@functools.cache
def gather(package: str, kind: type[T]) -> Mapping[str, T]:
    """Every object of a type at the top level of a package's modules, by name and sorted.

    A module may also have a function ``entries()`` that returns further ones (found by introspection, say).
    Two different objects under one name are refused.
    """
    folder = importlib.import_module(package)
    found: dict[str, T] = {}
    for info in sorted(pkgutil.iter_modules(folder.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{package}.{info.name}")
        entries = [value for value in vars(module).values() if isinstance(value, kind)]
        if hasattr(module, "entries"):
            entries += module.entries()
        for entry in entries:
            if found.setdefault(entry.name, entry) is not entry:
                raise ValueError(f"two entries of {package} are called {entry.name!r}")
    return dict(sorted(found.items()))


def natural(name: str) -> list[tuple[int, str]]:
    """A key to sort names by that puts f2 before f10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def look_up(entries: Mapping[str, T], name: str, what: str) -> T:
    """The entry of that name, or an error with the nearest one."""
    if name in entries:
        return entries[name]
    raise UnknownNameError(f"unknown {what} {name!r}: {did_you_mean(name, entries)}")
