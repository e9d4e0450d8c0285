"""Every optimizer of optax and optax.contrib, as ``optax/<name>`` and ``optax/contrib/<name>``.

The names and defaults are read from optax's source text, so that listing the catalogue imports neither optax nor
JAX and a new release brings its new optimizers by itself. What they do is optax's own code, built anew inside the
traced step from traced hyperparameters.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from gdbench.contracts import Hyperparameter, Optimizer, Oracle
from gdbench.lazy import jax, jnp, optax
from gdbench.optimizers import optax_facts as facts
from gdbench.optimizers import optax_source as source
from gdbench.optimizers.optax_step import from_builder, look_into
from gdbench.optimizers.rules import RATE

MINIMUM = ("f_min", "lower_bound")
RANDOM = ("key", "seed", "hessian_diagonal_fn")
TOLD = (*MINIMUM, *RANDOM)
"""Parameters that the problem and the descent answer: the minimum, and random numbers of a lane's own."""


def hyperparameters_at(path: str, own_decay: bool = False) -> dict[str, Hyperparameter]:
    """The hyperparameters of what optax exports at a path; with optax's own weight decay, or with none."""
    found: dict[str, Hyperparameter] = {}
    for name, parameter in source.exported()[path].items():
        if name in TOLD or (parameter.required and name.endswith("optimizer")):
            continue
        given = source.hyperparameters_of(name, parameter)
        if given and name == "learning_rate" and parameter.default is None:
            given = {name: RATE}
        elif given and "weight_decay" in name and not own_decay:
            given = {name: facts.NO_DECAY}
        if name in facts.STATIC.get(path, ()):
            given = {n: Hyperparameter(h.default, h.origin, static=True) for n, h in given.items()}
        found |= given
    found |= facts.NO_DEFAULT.get(path, {})
    if "max_learning_rate" in found and "learning_rate" not in found:
        found = {"learning_rate": Hyperparameter(1.0, "optax: max_learning_rate"), **found}
        del found["max_learning_rate"]
    return found


def told_by(oracle: Oracle, names: Mapping[str, Any]) -> dict[str, Any]:
    """What a constructor with parameters of these names is told by the problem and the descent."""
    key = oracle.key
    assert key is not None
    # A constructor that still takes a seed beside the key would warn of both.
    seed = {"seed": lambda: jax.random.bits(key(), (), jnp.uint32)} if "key" not in names else {}
    answers: dict[str, Callable[[], Any]] = {
        "f_min": lambda: oracle.minimum,
        "lower_bound": lambda: oracle.minimum,
        "key": key,
        "hessian_diagonal_fn": lambda: optax.contrib.hutchinson_estimator_diag_hessian(key()),
        **seed,
    }
    return {name: answers[name]() for name in names if name in answers}


def exported_function(path: str) -> Callable[..., Any]:
    """What optax exports at a path, ``contrib/adopt`` say."""
    found: Any = optax
    for name in path.split("/"):
        found = getattr(found, name)
    return found


def construct(path: str, oracle: Oracle, values: Mapping[str, Any], **more: Any) -> Any:
    """What optax exports at a path, made from hyperparameters; ``more`` are arguments given as they are."""
    parameters = source.exported()[path]
    given = source.arguments(parameters, values) | told_by(oracle, parameters) | more
    if "max_learning_rate" in parameters and "learning_rate" not in parameters and "scale_by" not in path:
        given["max_learning_rate"] = values["learning_rate"]
    make = exported_function(path)
    with warnings.catch_warnings():
        if path in facts.DEPRECATED:
            warnings.simplefilter("ignore", DeprecationWarning)
        return make(**given)


def described(path: str) -> dict[str, Any]:
    """The facts of an optimizer that the catalogue and the report tell."""
    asks_minimum = bool(set(MINIMUM) & set(source.exported()[path]))
    name = path.replace("/", ".")
    return {
        "judged": facts.judged_by(path),
        "formula": f"see optax.{name}",
        "source": f"optax.{name}",
        "notes": facts.NOTES.get(path, ""),
        "theory": facts.CLOSED_FORMS.get(path),
        "rule": facts.RULES.get(path),
        "costs": facts.COSTS.get(path, "1 g"),
        "family": "oracle" if asks_minimum else "gradient",
        "needs": ("minimum",) if asks_minimum else (),
        "random": bool(set(RANDOM) & set(source.exported()[path])),
    }


def entry(path: str, name: str = "", own_decay: bool = False) -> Optimizer:
    """The optimizer that optax exports at a path."""
    hyperparameters = hyperparameters_at(path, own_decay)

    def build(oracle: Oracle, h: Any) -> Any:
        return construct(path, oracle, {n: getattr(h, n) for n in hyperparameters})

    return from_builder(name or f"optax/{path}", build, hyperparameters, **described(path))


def entries() -> list[Optimizer]:
    """The catalogue entries ``optax/<name>`` and ``optax/contrib/<name>``."""
    return [entry(path) for path in sorted(source.optimizers())]


# A user's own


def _path_of(make: Callable[..., Any]) -> str | None:
    """Where optax exports this very constructor; None for any other function."""
    function = make.func if isinstance(make, functools.partial) else make
    if (getattr(function, "__module__", None) or "").split(".")[0] != "optax":
        return None
    return next((path for path in source.optimizers() if exported_function(path) is make), None)


def _judged(make: Callable[..., Any], hyperparameters: Mapping[str, Hyperparameter]) -> str | None:
    """Where a user's optimizer is judged, seen from one that is made with default numbers."""
    defaults = {n: 0.1 if h.default is None and not h.optional else h.default for n, h in hyperparameters.items()}
    try:
        return look_into(make(**defaults)).judged
    except Exception:  # a user's function may refuse numbers that nobody asked for: then it is judged at x
        return None


def from_callable(make: Callable[..., Any], name: str | None = None) -> Optimizer:
    """A user's own optimizer: an optax constructor, or any function of rates and numbers that returns one.

    Its parameters with a number as default, and ``learning_rate``, become hyperparameters. A constructor of optax
    keeps the weight decay that it has by default.
    """
    path = _path_of(make)
    if path is not None:
        return entry(path, name or getattr(make, "__name__", path.split("/")[-1]), own_decay=True)
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

    def build(oracle: Oracle, h: Any) -> Any:
        return make(**{parameter: getattr(h, parameter) for parameter in found})

    origin = f"{getattr(make, '__module__', '')}.{label}"
    return from_builder(label, build, found, _judged(make, found), formula=f"see {origin}", source=origin)


def from_transformation(transformation: Any, name: str = "transformation") -> Optimizer:
    """A user's finished ``optax.GradientTransformation``: no hyperparameter can be an axis any more.

    Its update is told what it asks for: value, grad, value_fn, obj_fn or grad_fn. What it asks through a function is
    counted by the states of optax's own line searches, otherwise call by call as they are written.
    """
    judged, origin = look_into(transformation).judged, "a GradientTransformation"
    return from_builder(name, lambda oracle, h: transformation, {}, judged, formula=f"see {origin}", source=origin)
