"""Every optax optimizer that needs only gradient and parameters, as ``optax/<name>``.

The names and defaults are read from optax's source text, so that listing the catalogue imports neither optax nor
JAX and a new release brings its new optimizers by itself. What they do is optax's own code, built anew inside the
traced step from traced hyperparameters.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gdbench.contracts import Array, Cost, Hyperparameter, Named, Optimizer, Oracle, Step
from gdbench.errors import GdbenchError
from gdbench.lazy import jax, optax
from gdbench.optimizers.rules import RATE

NEEDS_MORE = {
    "dpsgd": "gradients per example",
    "lbfgs": "the value function",
    "noisy_sgd": "its own random key",
    "polyak_sgd": "the value and the minimum",
}
"""Optimizers of optax that need more than gradient and parameters."""

KNOWN_FAULTS = {
    "adadelta": "optax's default rate None ascends; gdbench always passes a rate",
    "adafactor": "depends on the origin; its decay is computed in float32",
    "amsgrad": "differs from PyTorch's (optax issue 1389)",
    "fromage": "depends on the origin",
    "lamb": "depends on the origin",
    "lars": "depends on the origin",
    "optimistic_adam": "deprecated by optax in favour of optimistic_adam_v2",
    "rprop": "emits the update of the step before (optax pull request 1725)",
}
"""Upstream faults and limits that the report prints beside the results."""


def _sgd_form(h: Mapping[str, Any]) -> str:
    """The closed form that describes optax.sgd with these hyperparameters."""
    if h.get("momentum", 0) is None:
        return "gradient_descent"
    return "nesterov" if h.get("nesterov") else "heavy_ball"


CLOSED_FORMS = {"sgd": _sgd_form}


@functools.cache
def _source() -> ast.Module:
    spec = importlib.util.find_spec("optax")
    if spec is None or not spec.submodule_search_locations:
        raise GdbenchError("optax is not installed: pip install optax")
    return ast.parse((Path(spec.submodule_search_locations[0]) / "_src" / "alias.py").read_text(encoding="utf-8"))


def _signature(function: ast.FunctionDef) -> dict[str, ast.expr | None]:
    """Parameter names with the expression of their default, None where there is none."""
    a = function.args
    positional = [*a.posonlyargs, *a.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(a.defaults)) + list(a.defaults)
    found = {p.arg: d for p, d in zip(positional, defaults, strict=True)}
    return found | {p.arg: d for p, d in zip(a.kwonlyargs, a.kw_defaults, strict=True)}


def _hyperparameter(name: str, default: ast.expr | None) -> Hyperparameter | None:
    """A hyperparameter from the default's source text; None for what is no number or flag (a dtype, a mask)."""
    if name == "weight_decay":
        return Hyperparameter(0.0, "gdbench: 0, because decay moves the minimum")
    if name == "weight_decay_rate":
        return Hyperparameter(None, "optax", static=True)
    if default is None:
        return None
    try:
        value = ast.literal_eval(default)
    except ValueError:
        return None
    if value is None:
        return Hyperparameter(None, "optax", optional=True)
    if isinstance(value, bool):
        return Hyperparameter(value, "optax", static=True)
    if isinstance(value, int):
        # 'eta: float = 1' is a number like any other; a length or a count shapes the program.
        return Hyperparameter(value, "optax", static=True)
    return Hyperparameter(value, "optax") if isinstance(value, float) else None


_NOT_NUMBERS = ("dtype", "mask", "key", "seed", "linesearch")


@functools.cache
def _signatures() -> Mapping[str, dict[str, ast.expr | None]]:
    """Public optimizers of optax's alias module, ``functools.partial`` ones included, with their parameters."""
    found: dict[str, dict[str, ast.expr | None]] = {}
    for node in _source().body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            found[node.name] = _signature(node)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and len(node.targets) == 1:
            target, call = node.targets[0], node.value
            partial = ast.unparse(call.func).endswith("partial")
            if partial and isinstance(target, ast.Name) and isinstance(call.args[0], ast.Name):
                given = {k.arg: k.value for k in call.keywords if k.arg}
                found[target.id] = {**found.get(call.args[0].id, {}), **given}
    return {n: p for n, p in found.items() if "learning_rate" in p or "max_learning_rate" in p}


def entries() -> list[Optimizer]:
    """The catalogue entries ``optax/<name>``."""
    made = []
    for name, parameters in sorted(_signatures().items()):
        if name in NEEDS_MORE:
            continue
        found: dict[str, Hyperparameter] = {"learning_rate": RATE}
        for parameter, default in parameters.items():
            if parameter == "learning_rate" or any(word in parameter for word in _NOT_NUMBERS):
                continue
            spec = _hyperparameter(parameter, default)
            if spec is not None:
                found[parameter] = spec
        make = functools.partial(_construct, name)
        made.append(
            from_constructor(
                f"optax/{name}", make, found, KNOWN_FAULTS.get(name, ""), f"optax.{name}", CLOSED_FORMS.get(name)
            )
        )
    return made


def _construct(name: str, **hyperparameters: Any) -> Any:
    return getattr(optax, name)(**hyperparameters)


def from_constructor(
    name: str,
    make: Callable[..., Any],
    hyperparameters: Mapping[str, Hyperparameter],
    notes: str = "",
    source: str = "",
    theory: Named = None,
) -> Optimizer:
    """An optimizer from ``make(**hyperparameters) -> optax.GradientTransformation``, built inside the traced step.

    ``x`` and the gradient reach it as the problem's own pytree.
    """

    def transformation(h: Any) -> Any:
        return make(**{parameter: getattr(h, parameter) for parameter in hyperparameters})

    def init(oracle: Oracle, x: Array, h: Any) -> Any:
        return transformation(h).init(oracle.unravel(x))

    def step(oracle: Oracle, x: Array, state: Any, h: Any, k: Array) -> Step:
        value, gradient = oracle.value_and_grad(x)
        parameters = oracle.unravel(x)
        updates, after = transformation(h).update(oracle.unravel(gradient), state, parameters)
        moved = optax.apply_updates(parameters, updates)
        # Some rules keep a part of their state in float32; the carry of a scan must not change its type.
        after = jax.tree.map(lambda new, old: new.astype(old.dtype), after, state)
        return Step(oracle.ravel(moved).astype(x.dtype), after, value, gradient, Cost(g=1))

    return Optimizer(
        name, init, step, dict(hyperparameters), f"see {source}" if source else "", source, theory=theory, notes=notes
    )


def from_callable(make: Callable[..., Any], name: str | None = None) -> Optimizer:
    """A user's own optimizer: an optax constructor, or any function of rates and numbers that returns one.

    Its parameters with a number as default, and ``learning_rate``, become hyperparameters.
    """
    found: dict[str, Hyperparameter] = {}
    for parameter, spec in inspect.signature(make).parameters.items():
        if parameter == "learning_rate":
            found[parameter] = RATE
        elif spec.default is None and "dtype" not in parameter and "mask" not in parameter:
            found[parameter] = Hyperparameter(None, "its signature", optional=True)
        elif isinstance(spec.default, float):
            found[parameter] = Hyperparameter(spec.default, "its signature")
        elif isinstance(spec.default, (bool, int)):
            found[parameter] = Hyperparameter(spec.default, "its signature", static=True)
        elif spec.default is inspect.Parameter.empty and spec.kind not in (spec.VAR_POSITIONAL, spec.VAR_KEYWORD):
            found[parameter] = Hyperparameter(None, "none: a value must be given")
    label = name or getattr(make, "__name__", type(make).__name__)
    return from_constructor(label, make, found, source=f"{getattr(make, '__module__', '')}.{label}")


def from_transformation(transformation: Any, name: str = "transformation") -> Optimizer:
    """A user's finished ``optax.GradientTransformation``: no hyperparameter can be an axis any more."""
    return from_constructor(name, lambda: transformation, {}, source="a GradientTransformation")
