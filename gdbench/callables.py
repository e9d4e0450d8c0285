"""Problems from functions of your own: f(x) or f(x, data) in JAX, on vectors or pytrees."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gdbench.contracts import Problem, ProblemFamily
from gdbench.errors import SuiteError, did_you_mean
from gdbench.lazy import jax
from gdbench.problems.batches import mini_batches
from gdbench.pytrees import as_arrays, form_of, is_tree, ravel, rows_of, short

NUMBERS = ("minimum", "target", "target_unit", "tolerance", "offset")
FLAGS = ("all_minimizers", "bounded", "convex", "curvature_is_local", "separable", "within_box")
TEXTS = ("formula", "source", "target_origin", "notes")
FACTS = (*NUMBERS, "minimizers", "box", "curvature", *FLAGS, *TEXTS)
"""What may be said of a function, as keywords; the contract ``Problem`` explains them."""

_TAKEN = {*FACTS, "x0", "data", "batch", "held_out", "name"}


def name_of(function: Any) -> str:
    """What a function is called in tables."""
    return getattr(function, "__name__", type(function).__name__).replace("<lambda>", "function")


def arguments_of(function: Callable[..., Any], data: bool = False) -> tuple[dict[str, float], dict[str, Any]]:
    """The named arguments of a function beside x and data: traced parameters, and static arguments.

    A default that is a float makes a traced parameter, and so an axis; any other default (an integer, a flag, a text)
    may shape the program and is static.

    Raises:
        SuiteError: when the function cannot be called as f(x) or f(x, data).
    """
    name, form = name_of(function), "f(x, data)" if data else "f(x)"
    try:
        known = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some built-in functions do not tell; they have nothing to set
        return {}, {}
    places = [p for p in known if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    several = any(p.kind is p.VAR_POSITIONAL for p in known)
    if len(places) < 1 + data and not several:
        hint = "give it the argument data, or leave data= out" if data and places else "it takes no x"
        raise SuiteError([f"{name} must be {form}: {hint}"])
    rest = [*places[1 + data :], *(p for p in known if p.kind is p.KEYWORD_ONLY)]
    for parameter in rest:
        if parameter.default is parameter.empty:
            hint = "or pass data=" if parameter is rest[0] and not data else "such as 1.0"
            raise SuiteError([f"{name} must be {form}: give its argument {parameter.name!r} a default, {hint}"])
        if parameter.name in _TAKEN:
            raise SuiteError([f"{name}: {parameter.name!r} is a fact of every problem: rename that argument"])
    traced = {p.name: float(p.default) for p in rest if _is_float(p.default)}
    return traced, {p.name: p.default for p in rest if p.name not in traced}


def is_function_of_x(given: Any, settings: Mapping[str, Any]) -> bool:
    """Whether these settings make a function one of x: they name its start, and it does not ask for that itself."""
    if "x0" not in settings or isinstance(given, (Problem, ProblemFamily)) or not callable(given):
        return False
    try:
        return "x0" not in inspect.signature(given).parameters
    except (TypeError, ValueError):  # some built-in functions do not tell
        return True


def missing_argument(build: Callable[..., Any], settings: Mapping[str, Any]) -> str | None:
    """The first argument that has neither a default nor a setting; None where all have one."""
    try:
        known = inspect.signature(build).parameters.values()
    except (TypeError, ValueError):
        return None
    for parameter in known:
        free = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if not free and parameter.default is parameter.empty and parameter.name not in settings:
            return parameter.name
    return None


def from_function(
    function: Callable[..., Any],
    *,
    x0: Any = None,
    data: Any = None,
    batch: int | None = None,
    held_out: Any = None,
    name: str = "",
    **told: Any,
) -> Problem:
    """A problem from a function in JAX that returns a scalar.

    Args:
        function: f(x), or f(x, data) where data are given; its further arguments that have a float as default become
            traced parameters of the problem.
        x0: the start, from which the form of x is known: a vector, or a pytree (a dict, a tuple of arrays, …).
        data: a pytree of arrays, traced and cast to the precision of the run.
        batch: rows of a mini-batch, drawn with replacement from the leading axis of every leaf for each step; the
            number of all rows takes each of them once.
        held_out: data of the same form that no step sees.
        name: its name in tables, in place of the function's own.
        **told: facts, and values of its parameters and static arguments.

    Raises:
        SuiteError: in one line, with what to change.
    """
    called = name or name_of(function)
    if x0 is None:
        raise SuiteError([f"{called} needs x0: a start, from which the form of x is known"])
    traced, static = arguments_of(function, data is not None)
    for key in told:
        if key not in (*FACTS, *traced, *static):
            raise SuiteError([f"{called} has no {key!r}: {did_you_mean(key, [*_TAKEN, *traced, *static])}"])
    template, start = form_of(x0, called)
    for key, default in static.items():
        static[key] = _static(called, key, default, told[key]) if key in told else default
    traced = {key: _number(called, key, told[key]) if key in told else value for key, value in traced.items()}
    held = _data_fields(called, data, batch, held_out)
    objective = _objective(function, data is not None, tuple(traced), static)
    form = template if template is not None else np.zeros(start.size)
    views = {"": held.get("data", ()), "held_out": held.get("held_out")}
    if held.get("sample") is not None:
        views["a mini-batch"] = jax.tree.map(lambda leaf: leaf[:batch], held["data"])
    for where, view in views.items():
        if view is not None:
            _check_scalar(called, where, objective, form, view, traced)
    facts = _facts(called, {key: told[key] for key in FACTS if key in told}, start.size)
    plain = {"x0": x0, "batch": batch, **{key: value for key, value in told.items() if key not in traced}}
    return Problem(
        called, objective, start.size, label=called, start=start, template=template, parameters=traced,
        settings={key: value for key, value in plain.items() if value is not None and _is_plain(value)},
        **{"source": "given as a function", **held, **facts},
    )  # fmt: skip


def _objective(function: Any, with_data: bool, traced: tuple[str, ...], static: Mapping[str, Any]) -> Any:
    """(x, data, parameters) -> f, with only the parameters that are its own."""
    fixed = dict(static)

    def objective(x: Any, data: Any, parameters: Mapping[str, Any]) -> Any:
        named = {name: parameters[name] for name in traced} | fixed
        return function(x, data, **named) if with_data else function(x, **named)

    return objective


def _data_fields(name: str, data: Any, batch: Any, held_out: Any) -> dict[str, Any]:
    """The fields of a Problem that hold data: data, held_out, and those of mini-batches."""
    if data is None:
        for what, value in (("batch", batch), ("held_out", held_out)):
            if value is not None:
                raise SuiteError([f"{name}: {what} needs data: write f(x, data) and pass data="])
        return {}
    fields: dict[str, Any] = {"data": as_arrays(data, name, "data")}
    if not jax.tree.leaves(fields["data"]):
        raise SuiteError([f"{name}: data hold no array: leave data= out"])
    if held_out is not None:
        fields["held_out"] = as_arrays(held_out, name, "held_out")
        forms = [str(jax.tree.structure(fields[what])).removeprefix("PyTreeDef") for what in ("data", "held_out")]
        if forms[0] != forms[1]:
            raise SuiteError([f"{name}: held_out must have the form of data, {forms[0]}, got {forms[1]}"])
    if batch is not None:
        rows = rows_of(name, fields["data"])
        if not isinstance(batch, (int, np.integer)) or isinstance(batch, bool) or not 1 <= batch <= rows:
            raise SuiteError(
                [f"{name}: batch must be a whole number from 1 to {rows}, the rows of data, got {batch!r}"]
            )
        fields |= mini_batches(rows, int(batch))
    return fields


def _check_scalar(name: str, where: str, objective: Any, x: Any, data: Any, traced: Mapping[str, float]) -> None:
    """Refuse a function that fails on these shapes, or returns anything but one real number."""

    def shape(leaf: Any) -> Any:
        kind = np.float32 if leaf.dtype.kind == "f" else leaf.dtype
        return jax.ShapeDtypeStruct(leaf.shape, kind)

    parameters = {key: jax.ShapeDtypeStruct((), np.float32) for key in traced}
    on = f" on {where}" if where else ""
    with jax.numpy_rank_promotion("allow"):
        try:
            out = jax.eval_shape(objective, jax.tree.map(shape, x), jax.tree.map(shape, data), parameters)
        except Exception as error:  # a user's function may fail in any way
            first = (str(error).splitlines() or [""])[0]
            shapes = jax.tree.map(np.shape, x)
            raise SuiteError([f"{name} fails{on} at x of shape {shapes}: {type(error).__name__}: {first}"]) from error
    if getattr(out, "shape", None) != ():
        got = getattr(out, "shape", type(out).__name__)
        raise SuiteError([f"{name} must return a scalar{on}, it returns {got!r}: take its sum or its mean"])
    if not np.issubdtype(out.dtype, np.floating) and out.dtype.name != "bfloat16":
        raise SuiteError([f"{name} must return a floating-point number, it returns {out.dtype.name}"])


def _facts(name: str, told: Mapping[str, Any], dim: int) -> dict[str, Any]:
    """Facts as the contract wants them; a wrong one is refused by its name."""
    known = {key: value for key, value in told.items() if value is not None}
    known |= {key: _number(name, key, known[key]) for key in NUMBERS if key in known}
    for key, kind, word in [*((k, bool, "true or false") for k in FLAGS), *((k, str, "a text") for k in TEXTS)]:
        if key in known and not isinstance(known[key], kind):
            raise SuiteError([f"{name}: {key} must be {word}, got {known[key]!r}"])
    if "minimizers" in known:
        known["minimizers"] = _minimizers(name, known["minimizers"], dim)
    if "box" in known:
        known["box"] = _box(name, known["box"], dim)
    if "curvature" in known and not callable(known["curvature"]):
        try:
            m, largest = (float(end) for end in known["curvature"])
        except (TypeError, ValueError):
            raise SuiteError([f"{name}: curvature must be a pair (m, L), got {known['curvature']!r}"]) from None
        known["curvature"] = lambda parameters: (m, largest)
    return known


def _minimizers(name: str, given: Any, dim: int) -> np.ndarray:
    """Minimizers [n, dim] from points, from one pytree or from a list of them."""
    if is_tree(given):
        trees = given if isinstance(given, list) else [given]
        given = [ravel(as_arrays(tree, name, "minimizers", float)) for tree in trees]
    try:
        points = np.atleast_2d(np.asarray(given, float))
    except (TypeError, ValueError):
        points = np.zeros((0, 0))
    if points.ndim != 2 or points.shape[1] != dim:
        raise SuiteError([f"{name}: minimizers must be rows of {dim} coordinates, got {short(given)}"])
    return points


def _box(name: str, given: Any, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """(low, high), each [dim], from two numbers, vectors or pytrees."""
    try:
        low, high = (ravel(as_arrays(end, name, "box", float)) if is_tree(end) else end for end in given)
        low, high = (np.broadcast_to(np.asarray(end, float), (dim,)) for end in (low, high))
    except (TypeError, ValueError):
        raise SuiteError([f"{name}: box must be (low, high) for {dim} coordinates, got {short(given)}"]) from None
    if not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
        raise SuiteError([f"{name}: box must be finite, with low below high in every coordinate, got {short(given)}"])
    return low, high


def _number(name: str, key: str, value: Any) -> float:
    if not isinstance(value, bool) and (isinstance(value, numbers.Real) or np.shape(value) == ()):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass  # told below
    raise SuiteError([f"{name}: {key} must be a number, got {short(value)}"])


def _static(name: str, key: str, default: Any, value: Any) -> Any:
    """A value for a static argument, of the type of its default."""
    if default is None or isinstance(value, type(default)):
        return value
    fix = f"; to trace it, give it the default {float(default)}" if type(default) is int else ""
    raise SuiteError([f"{name}: {key!r} may shape the program and must be one {type(default).__name__}{fix}"])


def _is_float(value: Any) -> bool:
    return isinstance(value, (float, np.floating)) or (
        getattr(value, "shape", None) == () and getattr(getattr(value, "dtype", None), "kind", "") == "f"
    )


def _is_plain(value: Any) -> bool:
    """Whether a value can be written down as it is."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return len(value) <= 64 and all(map(_is_plain, value))
    return isinstance(value, (bool, int, float, str))
