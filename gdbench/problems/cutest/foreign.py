"""Objectives of sif2jax, one module at a time.

``import sif2jax`` imports a thousand problems, which takes up to a minute, and some of those set JAX's x64 switch for
the whole process. One problem needs its own file and three small ones, so that file is imported alone, as part of
a package of a private name whose folders are those of the installed one. The user's own ``import sif2jax`` is not
touched.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gdbench.errors import GdbenchError
from gdbench.lazy import jax, jnp

FOLDERS = ("cutest", "_unconstrained_minimisation")


def installed() -> bool:
    """Whether sif2jax can be imported; it is not."""
    return importlib.util.find_spec("sif2jax") is not None


def objective(name: str, module: str, sizes: Mapping[str, int]) -> Callable[[Any, Any, Any], Any]:
    """The objective of a problem: one function object for the same arguments, which imports sif2jax when it is traced.

    Args:
        name: the problem's name in CUTEst, which its class has.
        module: the file of sif2jax that it stands in.
        sizes: what the class is called with.
    """
    return _objective(name, module, tuple(sizes.items()), version("sif2jax"))


@functools.cache
def _objective(name: str, module: str, sizes: tuple[tuple[str, int], ...], release: str) -> Callable[..., Any]:
    # The release is among the arguments because the identity of a function is told by what it closes over.
    def value(x: Any, data: Any, parameters: Any) -> Any:
        # Built within the trace, so that its constants have the precision of that trace.
        problem = problem_class(name, module, release, x.dtype.name)(**dict(sizes))
        with warnings.catch_warnings():
            # Some ask for float64 by name, and get float32 where that is off.
            warnings.filterwarnings("ignore", "Explicitly requested dtype float64", UserWarning)
            return jnp.asarray(problem.objective(x, problem.args), x.dtype)

    return value


@functools.cache
def problem_class(name: str, module: str, release: str, dtype: str) -> Any:
    """The class of a problem, from a copy of its file in which the arrays have that precision."""
    # Arrays are computed now, even if a trace is under way.
    with jax.ensure_compile_time_eval(), jax.enable_x64(dtype == "float64"):
        return getattr(importlib.import_module(f"{_packages(release, dtype)}.{module}"), name)


@functools.cache
def _packages(release: str, dtype: str) -> str:
    """The name of the innermost of the private packages for a precision, none of which runs its ``__init__``."""
    spec = importlib.util.find_spec("sif2jax")
    if spec is None or not spec.submodule_search_locations:
        raise GdbenchError("CUTEst problems need sif2jax: pip install 'gdbench[cutest]'")
    here, path = f"_gdbench_sif2jax_{dtype}", Path(spec.submodule_search_locations[0])
    _package(here, path)
    for folder in FOLDERS:
        here, path = f"{here}.{folder}", path / folder
        _package(here, path)
    return here


def _package(name: str, path: Path) -> None:
    made = ModuleSpec(name, None, is_package=True)
    made.submodule_search_locations = [str(path)]
    sys.modules.setdefault(name, importlib.util.module_from_spec(made))
