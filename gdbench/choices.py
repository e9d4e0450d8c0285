"""Names to things: the problems and optimizers that a suite or a sweep asks for, with their axes."""

from __future__ import annotations

import fnmatch
import importlib
import inspect
import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gdbench import callables
from gdbench.catalogue import gather, look_up, natural
from gdbench.contracts import Hyperparameter, Optimizer, Problem, ProblemFamily, Schedule
from gdbench.errors import GdbenchError, SuiteError, UnknownNameError, did_you_mean
from gdbench.grid import Values, as_values
from gdbench.optimizers import from_functions, from_optax
from gdbench.problems import cutest
from gdbench.schedules.base import scheduled
from gdbench.transforms.base import Transform


@dataclass(frozen=True)
class ProblemChoice:
    """A problem of an experiment: one built object an instance, and the axes over its traced parameters."""

    instances: tuple[Problem, ...]
    axes: dict[str, Values]

    @property
    def problem(self) -> Problem:
        """The first instance; all share objective, dimension and label."""
        return self.instances[0]


@dataclass(frozen=True)
class OptimizerChoice:
    """An optimizer of an experiment: its label, axes (single values among them) and static settings."""

    optimizer: Optimizer
    label: str
    axes: dict[str, Values]
    static: dict[str, Any]


def load_attribute(name: str, allow_code: bool) -> Any:
    """What ``package.module:attribute`` names."""
    if not allow_code:
        raise GdbenchError(f"{name!r} is code of your own: say --allow-code to run it")
    module_name, _, attribute = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # user code may fail in any way while it is imported
        raise GdbenchError(f"{name!r}: importing {module_name} failed: {type(error).__name__}: {error}") from error
    if not hasattr(module, attribute):
        public = [n for n in vars(module) if not n.startswith("_")]
        raise GdbenchError(f"{name!r}: {module_name} has no {attribute!r}: {did_you_mean(attribute, public)}")
    return getattr(module, attribute)


def resolve_optimizer(given: Any, allow_code: bool = True, name: str = "") -> Optimizer:
    """An optimizer from what stands for one.

    That is a name of the catalogue, ``package.module:attribute``, an Optimizer, a pair of functions (init, step), an
    optax constructor or another function that returns a ``GradientTransformation``, or a finished one. ``name`` is
    what one without a name is called.
    """
    if isinstance(given, str):
        if ":" in given:
            return resolve_optimizer(load_attribute(given, allow_code), name=given.partition(":")[2])
        return look_up(gather("gdbench.optimizers", Optimizer), given, "optimizer")
    if isinstance(given, Optimizer):
        return given
    if hasattr(given, "init") and hasattr(given, "update"):
        return from_optax.from_transformation(given, name or "transformation")
    if from_functions.is_pair(given):
        return from_functions.optimizer(*given, name=name)
    if callable(given):
        return from_optax.from_callable(given)
    kinds = "a name, an Optimizer, a pair of functions (init, step) or a function that returns an optax transformation"
    raise SuiteError([f"an optimizer is {kinds}, got {given!r}"])


def as_transforms(given: Any) -> list[dict[str, Any]]:
    """A row of transforms, each a name or a table with a name and settings, with names that exist."""
    entries = [
        {"name": e} if isinstance(e, str) else e for e in (given if isinstance(given, (list, tuple)) else [given])
    ]
    for entry in entries:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            raise SuiteError([f"a transform is a name or a table with a name, got {entry!r}"])
        look_up(gather("gdbench.transforms", Transform), entry["name"], "transform")
    return [dict(entry) for entry in entries]


def problem_named(name: str) -> ProblemFamily:
    """The problem family of that name, or an error with the nearest one or the extra that it needs."""
    if cutest.needs_extra(name):
        raise UnknownNameError(f"{name} needs sif2jax, which is not installed: pip install 'gdbench[cutest]'")
    return look_up(gather("gdbench.problems", ProblemFamily), name, "problem")


def resolve_problem(given: Any, allow_code: bool = True, /, **settings: Any) -> Problem:
    """A problem from its name and settings, from ``package.module:attribute``, a Problem, or a function.

    A function with the setting ``x0`` is one of x that starts there; without it, the function builds the problem.
    The settings ``transform`` (a name, or a list of names and tables) and ``instance`` serve every problem.
    """
    if "transform" in settings:
        return _transformed(given, allow_code, **settings)
    if isinstance(given, str):
        if ":" in given:
            return resolve_problem(load_attribute(given, allow_code), **settings)
        given = problem_named(given)
    if isinstance(given, ProblemFamily):
        return given(**settings)
    if isinstance(given, Problem):
        return _checked_facts(_with_parameters(given, settings))
    if callable(given):
        return _from_callable(given, settings)
    raise SuiteError([f"a problem is a name, a Problem or a function that returns one, got {given!r}"])


def _with_parameters(problem: Problem, values: Mapping[str, Any]) -> Problem:
    """The problem with other defaults of its traced parameters, the only settings that a finished one takes."""
    for key, value in values.items():
        if key not in problem.parameters:
            known = did_you_mean(key, problem.parameters)
            raise SuiteError([f"{problem.label or problem.name} is a finished Problem without {key!r}: {known}"])
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise SuiteError([f"{problem.label or problem.name}: {key!r} must be a number, got {value!r}"])
    return replace(problem, parameters={**problem.parameters, **{k: float(v) for k, v in values.items()}})


def _from_callable(given: Any, settings: dict[str, Any]) -> Problem:
    """The problem of a user's function: with ``x0`` it is a function of x, otherwise it builds a Problem."""
    name = callables.name_of(given)
    if callables.is_function_of_x(given, settings):
        return _checked_facts(callables.from_function(given, **settings))
    missing = callables.missing_argument(given, settings)
    if missing:
        raise SuiteError(
            [f"{name} needs x0, a start, if it is a function of x; if it builds a Problem, it needs {missing!r}"]
        )
    try:
        built = given(**settings)
    except GdbenchError:
        raise
    except Exception as error:  # a user's builder may fail in any way
        raise SuiteError([f"problem {name!r} cannot be built: {type(error).__name__}: {error}"]) from error
    problem = resolve_problem(built)
    return replace(problem, settings={**settings, **problem.settings})


def _transformed(given: Any, allow_code: bool, transform: Any, instance: Any = None, **settings: Any) -> Problem:
    """The problem changed by a row of transforms, whose random parts the instance seeds."""
    entries, found = as_transforms(transform), gather("gdbench.transforms", Transform)
    if isinstance(given, str):
        given = load_attribute(given, allow_code) if ":" in given else problem_named(given)
    own = _own_instance(given)
    number = (own or 0) if instance is None else instance
    if type(number) is not int or number < 0:
        raise SuiteError([f"instance must be a whole number of at least 0, got {number!r}"])
    added = {key for entry in entries for key in found[entry["name"]].parameters}
    traced = {key: settings.pop(key) for key in list(settings) if key in added}
    inner = settings if own is None else {**settings, "instance": number}
    problem = _changed(resolve_problem(given, allow_code, **inner), entries, number)
    return _with_parameters(problem, traced)


def _changed(problem: Problem, entries: Sequence[Mapping[str, Any]], instance: int) -> Problem:
    """The problem after a row of transforms."""
    found, before = gather("gdbench.transforms", Transform), problem.settings
    for place, entry in enumerate(entries):
        told = {key: value for key, value in entry.items() if key != "name"}
        problem = found[entry["name"]](problem, instance, place, **told)
    row = [*before.get("transform", []), *entries]
    return replace(problem, settings={**before, "transform": row, "instance": instance})


def _own_instance(given: Any) -> int | None:
    """The default instance of a family or a user's builder that has them; None for any other problem."""
    if isinstance(given, ProblemFamily):
        return given.settings.get("instance")
    if isinstance(given, Problem) or not callable(given):
        return None
    try:
        known = inspect.signature(given).parameters.get("instance")
    except (TypeError, ValueError):  # some built-in functions do not tell
        return None
    return None if known is None else known.default if type(known.default) is int else 0


def _checked_facts(problem: Problem) -> Problem:
    """The problem with its facts as plain numbers and arrays of the right shape, and a label."""
    told: dict[str, Any] = {"label": problem.label or problem.name}
    shapes = {"minimizers": (-1, problem.dim), "start": (problem.dim,)}
    try:
        for name in ("minimum", "target", "tolerance", "offset"):
            value = getattr(problem, name)
            told[name] = None if value is None else float(value)
        for name, shape in shapes.items():
            value = getattr(problem, name)
            told[name] = None if value is None else np.asarray(value, float).reshape(shape)
        if problem.box is not None:
            name = "box"
            low, high = (np.broadcast_to(np.asarray(end, float), (problem.dim,)) for end in problem.box)
            told["box"] = (low, high)
    except (TypeError, ValueError) as error:
        raise SuiteError(
            [f"problem {problem.name!r}: {name} must fit dimension {problem.dim}, got {getattr(problem, name)!r}"]
        ) from error
    return replace(problem, **told)


def _check_instances(built: list[Problem]) -> None:
    """Instances share one compiled program, so they may differ in nothing that it is made of."""

    def shapes(tree: Any) -> Any:
        if isinstance(tree, Mapping):
            return {key: shapes(item) for key, item in tree.items()}
        if isinstance(tree, (list, tuple)):
            return [shapes(item) for item in tree]
        return np.shape(tree), np.asarray(tree).dtype.str

    def form(problem: Problem) -> Any:
        minimizers = () if problem.minimizers is None else problem.minimizers
        facts = (problem.dim, problem.goal, dict(problem.parameters), np.shape(minimizers))
        return problem.objective, problem.sample, shapes(problem.data), facts

    for problem in built[1:]:
        if form(problem) != form(built[0]):
            raise SuiteError(
                [f"the instances of {problem.name!r} share one program: what differs among them belongs into `data`"]
            )


def _label(given: dict[str, Any]) -> str | None:
    label = given.pop("label", None)
    if label is not None and (not isinstance(label, str) or not label.strip()):
        raise SuiteError([f"a label is a text, got {label!r}"])
    return label


def every_optimizer(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """An entry for each name and each value of ``schedule``, or of a static hyperparameter, that a list stands for."""
    entries = []
    for one in every_name(entry, Optimizer, "gdbench.optimizers"):
        known = gather("gdbench.optimizers", Optimizer).get(one["name"])
        static = {n for n, spec in known.hyperparameters.items() if spec.static} if known else set()
        lists = {key: one[key] for key in {"schedule", *static} & set(one) if isinstance(one[key], list) and one[key]}
        for values in itertools.product(*lists.values()):
            entries.append({**one, **dict(zip(lists, values, strict=True))})
    return entries


def with_schedule(optimizer: Optimizer, given: dict[str, Any]) -> Optimizer:
    """The optimizer under the schedule that ``given`` names; 'constant' is taken out of it, for that is none."""
    name = given.get("schedule")
    if name is None or "schedule" in optimizer.hyperparameters:
        return optimizer
    if name == "constant":
        del given["schedule"]
        return optimizer
    if not isinstance(name, str):
        raise SuiteError([f"{optimizer.name}: a schedule is a name, got {name!r}"])
    return scheduled(optimizer, look_up(gather("gdbench.schedules", Schedule), name, "schedule"))


def every_name(
    entry: Mapping[str, Any], kind: type = ProblemFamily, folder: str = "gdbench.problems"
) -> list[dict[str, Any]]:
    """An entry for each name of a list, and for each one that a pattern such as ``bbob/*`` stands for."""
    known = sorted(gather(folder, kind), key=natural)
    given = entry["name"] if isinstance(entry["name"], list) else [entry["name"]]
    names = [
        name for pattern in given for name in (fnmatch.filter(known, pattern) if "*" in pattern else []) or [pattern]
    ]
    return [{**entry, "name": name} for name in names]


def choose_problem(entry: Mapping[str, Any], allow_code: bool = True) -> ProblemChoice:
    """The problem of an entry: static settings build it, parameters become axes, ``instance`` may be a list."""
    given = dict(entry)
    name = given.pop("name")
    label = _label(given)
    if ":" in name:
        family = load_attribute(name, allow_code)
    else:
        family = problem_named(name)
    known = dict(family.parameters) if isinstance(family, (Problem, ProblemFamily)) else {}
    if callables.is_function_of_x(family, given):
        known = callables.arguments_of(family)[0]
    for entry in as_transforms(given.get("transform", [])):
        known |= gather("gdbench.transforms", Transform)[entry["name"]].parameters
    axes = {key: as_values(given.pop(key)) for key in list(given) if key in known}
    instances = given.pop("instance", None)
    numbers = [None] if instances is None else (instances if isinstance(instances, list) else [instances])
    whole = instances is None or all(type(n) is int for n in numbers)
    if not numbers or not whole or len(set(numbers)) < len(numbers):
        raise SuiteError([f"instance must be a whole number or a list of different ones, got {instances!r}"])
    if "transform" in given and _own_instance(family) is None:
        # Built once, so that its instances share an objective however it was written.
        entries = as_transforms(given.pop("transform"))
        base = resolve_problem(family, allow_code, **given)
        built = [_changed(base, entries, number or 0) for number in numbers]
    else:
        settings = [given if number is None else {**given, "instance": number} for number in numbers]
        built = [resolve_problem(family, allow_code, **setting) for setting in settings]
    if len(built) > 1:
        _check_instances(built)
    single = {n: v.values[0] for n, v in axes.items() if len(v) == 1}
    if single:
        built = [replace(p, parameters={**p.parameters, **single}) for p in built]
    if label:
        built = [replace(p, label=label) for p in built]
    return ProblemChoice(tuple(built), {n: v for n, v in axes.items() if len(v) > 1})


def choose_optimizer(entry: Mapping[str, Any], rate: Values | None, allow_code: bool = True) -> OptimizerChoice:
    """The optimizer of an entry, its hyperparameters as axes or static values, and a label that tells it apart."""
    given = dict(entry)
    name = given.pop("name")
    label = _label(given)
    optimizer = name if isinstance(name, Optimizer) else resolve_optimizer(name, allow_code)
    optimizer = with_schedule(optimizer, given)
    specs = optimizer.hyperparameters
    for key in given:
        if key not in specs:
            raise SuiteError([f"{optimizer.name} has no hyperparameter {key!r}: {did_you_mean(key, specs)}"])
    axes: dict[str, Values] = {}
    static: dict[str, Any] = {}
    for key, spec in specs.items():
        value = given.get(key, rate if key == "learning_rate" and rate is not None else spec.default)
        if value is None and not (spec.static or spec.optional):
            raise SuiteError([f"{optimizer.name} needs a value for {key!r}: it has no default"])
        if spec.static or value is None:
            static[key] = _checked_static(optimizer.name, key, spec, value)
        else:
            axes[key] = as_values(value)
    told = {k: v for k, v in given.items() if k != "learning_rate" and not (k in axes and len(axes[k]) > 1)}
    values = {k: axes[k].values[0] if k in axes else v for k, v in told.items()}
    shown = ", ".join(f"{k}={_short(v)}" for k, v in values.items() if v != specs[k].default)
    return OptimizerChoice(optimizer, label or optimizer.name + (f"({shown})" if shown else ""), axes, static)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _checked_static(name: str, key: str, spec: Hyperparameter, value: Any) -> Any:
    if spec.default is not None and value is not None and type(value) is not type(spec.default):
        kind = type(spec.default).__name__
        raise SuiteError([f"{name}: {key!r} shapes the program and must be one {kind}, got {value!r}"])
    return value
