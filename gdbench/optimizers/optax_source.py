"""What optax exports, read from its source text: importing optax, and so JAX, is left to the descents."""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gdbench.contracts import Hyperparameter
from gdbench.errors import GdbenchError

PACKAGES = {"": "optax", "contrib/": "optax.contrib"}
"""Prefixes of the names below ``optax/``, and the packages whose exports they stand for."""

NO_PART_OF_THE_RULE = ("mask", "verbose", "print", "dtype", "store_grad")
"""Words in the names of parameters that choose leaves, print, or say how numbers are stored."""

NUMERIC = ("ArrayLike", "Scalar", "float", "int")
"""What the annotation of a number says."""


class Parameter(NamedTuple):
    """A parameter of a constructor: the text of its annotation and its default, a literal.

    ``required`` is one without a default; ``opaque`` one whose default is no literal (a function, a transformation).
    """

    annotation: str
    default: Any = None
    required: bool = False
    opaque: bool = False


Parameters = Mapping[str, Parameter]


@functools.cache
def _root() -> Path:
    spec = importlib.util.find_spec("optax")
    if spec is None or not spec.submodule_search_locations:
        raise GdbenchError("optax is not installed: pip install optax")
    return Path(spec.submodule_search_locations[0])


def _parse(module: str) -> ast.Module:
    """The source of a module of optax."""
    path = _root().joinpath(*module.split(".")[1:])
    return ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8"))


def _parameter(annotation: ast.expr | None, default: ast.expr | None, constants: Mapping[str, ast.expr]) -> Parameter:
    text = "" if annotation is None else ast.unparse(annotation)
    if default is None:
        return Parameter(text, required=True)
    if isinstance(default, ast.Name):
        default = constants.get(default.id, default)
    try:
        return Parameter(text, ast.literal_eval(default))
    except ValueError:
        return Parameter(text, opaque=True)


def _signature(function: ast.FunctionDef, constants: Mapping[str, ast.expr]) -> dict[str, Parameter]:
    a = function.args
    positional = [*a.posonlyargs, *a.args]
    defaults = [*[None] * (len(positional) - len(a.defaults)), *a.defaults]
    pairs = [*zip(positional, defaults, strict=True), *zip(a.kwonlyargs, a.kw_defaults, strict=True)]
    return {p.arg: _parameter(p.annotation, default, constants) for p, default in pairs}


@functools.cache
def _functions(module: str) -> Mapping[str, dict[str, Parameter]]:
    """Functions of a module, and ``functools.partial`` ones, with their parameters."""
    found: dict[str, dict[str, Parameter]] = {}
    constants: dict[str, ast.expr] = {}
    for node in _parse(module).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = _signature(node, constants)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id, node.value
            constants[name] = value
            if isinstance(value, ast.Call) and ast.unparse(value.func).endswith("partial"):
                given = {k.arg: Parameter("", ast.literal_eval(k.value)) for k in value.keywords if k.arg}
                found[name] = {**found.get(ast.unparse(value.args[0]), {}), **given}
    return found


@functools.cache
def exported() -> Mapping[str, Parameters]:
    """Every function that optax and optax.contrib export, by its path below ``optax/``, with its parameters."""
    found: dict[str, Parameters] = {}
    for prefix, package in PACKAGES.items():
        for node in _parse(package).body:
            # Whole modules (``from optax import contrib``) are no functions.
            if isinstance(node, ast.ImportFrom) and node.module and "." in node.module and node.module != package:
                known = _functions(node.module)
                found |= {prefix + (a.asname or a.name): known[a.name] for a in node.names if a.name in known}
    return found


def has_rate(parameters: Parameters) -> bool:
    """Whether these are the parameters of something that has a learning rate."""
    return bool({"learning_rate", "max_learning_rate"} & set(parameters))


def is_wrapper(parameters: Parameters) -> bool:
    """Whether it is made around another optimizer, which must be given."""
    return any(p.required and name.endswith("optimizer") for name, p in parameters.items())


@functools.cache
def optimizers() -> Mapping[str, Parameters]:
    """Every finished optimizer: what is exported with a learning rate, and neither wraps nor is a part of one."""
    return {
        path: parameters
        for path, parameters in exported().items()
        if has_rate(parameters) and not is_wrapper(parameters) and not path.split("/")[-1].startswith("scale_by_")
    }


def hyperparameters_of(name: str, parameter: Parameter) -> dict[str, Hyperparameter]:
    """What a parameter gives: nothing where it is no number, flag or name; one hyperparameter for each part of a tuple,
    ``betas_1`` and ``betas_2``.
    """
    default, optional = parameter.default, "None" in parameter.annotation or "Optional" in parameter.annotation
    if parameter.opaque or any(word in name for word in NO_PART_OF_THE_RULE):
        return {}
    if parameter.required:
        return {name: Hyperparameter(None, "none: a value must be given")}
    if isinstance(default, tuple):
        parts = enumerate(default, 1)
        return {n: h for i, v in parts for n, h in hyperparameters_of(f"{name}_{i}", Parameter("", v)).items()}
    if default is None:
        if not any(word in parameter.annotation for word in NUMERIC):
            return {}
        whole = "int" in parameter.annotation
        return {name: Hyperparameter(None, "optax", static=whole, optional=not whole)}
    if isinstance(default, (bool, int, str)):
        # A length or a count shapes the program; 'eta: float = 1' would be a number like any other.
        return {name: Hyperparameter(default, "optax", static=True)}
    return {name: Hyperparameter(default, "optax", optional=optional)}


def arguments(parameters: Parameters, values: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a constructor from hyperparameters, the parts of a tuple together again."""
    given = {name: values[name] for name in parameters if name in values}
    for name, parameter in parameters.items():
        parts = [f"{name}_{i}" for i in range(1, 1 + len(parameter.default or ()))] if _is_tuple(parameter) else []
        if parts and parts[0] in values:
            given[name] = tuple(values[part] for part in parts)
    return given


def _is_tuple(parameter: Parameter) -> bool:
    return isinstance(parameter.default, tuple)
