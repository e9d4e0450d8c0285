"""Suite files: TOML in, a validated Suite out, with every fault of the file named at once.

pydantic checks the form (keys, types, ranges); the catalogue checks the meaning (names, settings, axes). Neither
imports JAX.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gdbench.choices import (
    OptimizerChoice,
    ProblemChoice,
    choose_optimizer,
    choose_problem,
    every_name,
    every_optimizer,
)
from gdbench.errors import (
    GdbenchError,
    NothingSelectedError,
    SuiteError,
    did_you_mean,
    nearest,
)
from gdbench.forms import Claim, Experiment, Header, OutcomeSettings, Primary, SuiteFile, as_entry, form_faults
from gdbench.grid import Axis, Grid, Starts, Values


@dataclass(frozen=True)
class Trial:
    """An experiment with its names resolved."""

    name: str
    problems: tuple[ProblemChoice, ...]
    optimizers: tuple[OptimizerChoice, ...]
    steps: int
    starts: Starts
    seeds: int
    targets: Values | None
    trace: int
    paths: int
    outcomes: OutcomeSettings
    evaluations: float = 0.0
    quick: bool | str = True
    record: str | tuple[str, ...] = "outcome"
    orbit: int = 0
    sharpness: bool = False
    directions: int = 0
    clock: bool = False


@dataclass(frozen=True)
class Suite:
    """A validated suite: what was asked, and what the names stand for."""

    header: Header
    trials: tuple[Trial, ...]
    resolved: dict[str, Any]

    @property
    def dtypes(self) -> list[str]:
        """Precisions to run in."""
        return list(self.header.dtype)


def read_suite(path: str | Path, **options: Any) -> Suite:
    """The suite of a TOML file; see ``build_suite`` for the options.

    Raises:
        SuiteError: with one line for every fault of the file, each with its place.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SuiteError([f"{path}: no such file{_near_file(path)}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError([f"{path}: cannot be read: {error}"]) from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SuiteError([f"{path}: not TOML: {error}"]) from None
    return build_suite(table, str(path), **options)


def _near_file(path: Path) -> str:
    folders = [folder for folder in {path.parent, Path("suites")} if folder.is_dir()]
    names = sorted({str(p) for folder in folders for p in folder.glob("*.toml")})
    by_stem = {Path(name).stem: name for name in names}
    close = nearest(str(path), names) or by_stem.get(nearest(path.stem, by_stem) or "")
    return f", did you mean {close}?" if close else (f"; there are {', '.join(names)}" if names else "")


def build_suite(
    table: Mapping[str, Any],
    place: str = "suite",
    allow_code: bool = False,
    problems: Sequence[str] = (),
    optimizers: Sequence[str] = (),
    add: Sequence[str] = (),
    quick: bool = False,
) -> Suite:
    """A suite from its table.

    Args:
        table: what the TOML file says.
        place: the file's name, for messages.
        allow_code: whether names ``package.module:attribute`` may bring in a user's code.
        problems: keep only these (names or labels).
        optimizers: keep only these.
        add: further optimizers for every experiment.
        quick: thin every axis to 8 values, starts to 8, instances to 3 and steps to 200.

    Raises:
        SuiteError: with every fault.
    """
    try:
        form = SuiteFile.model_validate(dict(table))
    except ValidationError as error:
        # The names are looked up all the same, so that one reading mends the whole file.
        lines = form_faults(error) + _name_faults(table, allow_code)
        raise SuiteError([f"{place}: {line}" for line in dict.fromkeys(lines)]) from None
    faults: list[str] = []
    trials, added = [], []
    for i, experiment in enumerate(form.experiment):
        name = experiment.name or f"experiment-{i + 1}"
        where = f"{place}: experiment {name!r}"
        trials.append(_resolve(experiment, name, where, allow_code, faults))
        added.append(_added(add, experiment.learning_rate, allow_code, where, faults))
        there = {c.label for c in trials[-1].optimizers}
        faults += [f"{where}: --add {c.label}: it stands there already" for c in added[-1] if c.label in there]
    names = [trial.name for trial in trials]
    faults += [f"{place}: two experiments are called {n!r}" for n in sorted({n for n in names if names.count(n) > 1})]
    faults += [f"{place}: suite.primary: {fault}" for fault in _primary_faults(form.suite.primary, trials)]
    faults += [f"{place}: {fault}" for fault in _shown_faults(form, trials)]
    if faults:
        raise SuiteError(faults)
    # What is added stands beside what was selected.
    kept = [
        replace(trial, optimizers=trial.optimizers + more)
        for trial, more in zip([_select(trial, problems, optimizers) for trial in trials], added, strict=True)
    ]
    for what, wanted in (("problem", problems), ("optimizer", optimizers)):
        faults += _unmatched(what, wanted, trials, place)
    if faults:
        raise SuiteError(faults)
    unwanted = False if quick else "only"
    kept = [_thin(t) if quick else t for t in kept if t.problems and t.optimizers and t.quick != unwanted]
    if not kept:
        chosen = " and ".join(filter(None, (", ".join(problems), ", ".join(optimizers)))) or "anything"
        run = "a quick run" if quick else "a run that is not --quick"
        raise NothingSelectedError(f"{place}: no experiment for {run} has {chosen}: nothing is left to run")
    header = form.suite.model_copy(update={"name": form.suite.name + "-quick"}) if quick else form.suite
    return Suite(header, tuple(kept), describe_suite(header, kept, form.claim))


def _shown_faults(form: SuiteFile, trials: Sequence[Trial]) -> list[str]:
    """What is wrong with the figures and claims of a suite, given its experiments."""
    if not form.suite.figures and not form.claim:
        return []
    from gdbench.claims.faults import claim_faults, figure_faults  # brings matplotlib along, which few suites need

    names = [trial.name for trial in trials]
    faults = figure_faults(list(form.suite.figures)) + [
        f"{figure}: no experiment {name!r}: {did_you_mean(name, names)}"
        for figure, wanted in form.suite.figures.items() for name in wanted if name not in names
    ]  # fmt: skip
    known = {f"{what}s": set().union(*(_names(trial)[what] for trial in trials)) for what in ("problem", "optimizer")}
    return [f"suite.figures: {fault}" for fault in faults] + claim_faults(
        [claim.model_dump() for claim in form.claim], {"experiments": {*names}} | known
    )


def _primary_faults(primary: Primary | None, trials: Sequence[Trial]) -> list[str]:
    """What is wrong with a primary question, given the experiments."""
    if primary is None:
        return []
    names = [trial.name for trial in trials]
    if primary.experiment and primary.experiment not in names:
        return [f"no experiment {primary.experiment!r}: {did_you_mean(primary.experiment, names)}"]
    trial = trials[names.index(primary.experiment) if primary.experiment else 0]
    targets = trial.targets.values if trial.targets else ()
    if primary.target is None:
        return ["cost_to_target needs a target"] if primary.measure == "cost_to_target" else []
    if not any(math.isclose(primary.target, target, rel_tol=1e-6) for target in targets):
        known = ", ".join(f"{target:g}" for target in targets) or "none: set targets"
        return [f"target {primary.target:g} is not recorded by {trial.name!r}, which has {known}"]
    return []


def _name_faults(table: Mapping[str, Any], allow_code: bool) -> list[str]:
    """Faults of the names in a file whose form is not right either."""
    lines = []
    experiments = table.get("experiment")
    for i, experiment in enumerate(experiments if isinstance(experiments, list) else []):
        for what, choose in (("problems", choose_each), ("optimizers", choose_any)):
            entries = experiment.get(what) if isinstance(experiment, dict) else None
            for j, entry in enumerate(entries if isinstance(entries, list) else []):
                try:
                    choose(as_entry(entry), allow_code)
                except ValueError:
                    continue  # its form is at fault, which is told already
                except GdbenchError as error:
                    lines.append(f"experiment[{i + 1}].{what}[{j + 1}]: {error}")
    return lines


def choose_each(entry: Mapping[str, Any], allow_code: bool) -> list[ProblemChoice]:
    """The problems of an entry."""
    return [choose_problem(one, allow_code) for one in every_name(entry)]


def choose_any(entry: Mapping[str, Any], allow_code: bool) -> list[OptimizerChoice]:
    """The optimizers of an entry whatever the learning rates are."""
    return [choose_optimizer(one, Values((1.0,)), allow_code) for one in every_optimizer(entry)]


def _resolve(experiment: Experiment, name: str, where: str, allow_code: bool, faults: list[str]) -> Trial:
    """The experiment with its names looked up; faults are added to the list."""
    problems, optimizers = [], []
    for i, entry in enumerate(experiment.problems):
        for one in every_name(entry):
            try:
                choice = choose_problem(one, allow_code)
                problems.append(choice)
                faults += [f"{where}: starts: {fault}" for fault in experiment.starts.faults(choice.problem)]
            except GdbenchError as error:
                faults.append(f"{where}: problems[{i + 1}]: {error}")
    for i, entry in enumerate(experiment.optimizers):
        for one in every_optimizer(entry):
            try:
                optimizers.append(choose_optimizer(one, experiment.learning_rate, allow_code))
            except GdbenchError as error:
                faults.append(f"{where}: optimizers[{i + 1}]: {error}")
    for what, labels in (
        ("problem", [c.problem.label for c in problems]),
        ("optimizer", [c.label for c in optimizers]),
    ):
        twice = sorted({label for label in labels if labels.count(label) > 1})
        faults += [f"{where}: the {what} {label!r} stands there twice: give one a label of its own" for label in twice]
    return Trial(
        name, tuple(problems), tuple(optimizers), experiment.steps, experiment.starts, experiment.seeds,
        experiment.targets, experiment.trace,
        paths_of(experiment.paths, experiment.orbit, experiment.sharpness), experiment.outcomes,
        experiment.evaluations or 0.0, experiment.quick, experiment.record, experiment.orbit, experiment.sharpness,
        experiment.directions, experiment.clock,
    )  # fmt: skip


ORBITS, SHARP = 1024, 16
"""Paths recorded where orbits, or sharpness along paths, are asked for and nothing is said of paths."""


def paths_of(paths: int, orbit: int, sharpness: bool) -> int:
    """How many paths are recorded."""
    return paths or (ORBITS if orbit else SHARP if sharpness else 0)


def _added(
    names: Sequence[str], rate: Values | None, allow_code: bool, where: str, faults: list[str]
) -> tuple[OptimizerChoice, ...]:
    """Further optimizers for an experiment, at its learning rates; faults are added to the list."""
    made = []
    for one in [one for name in names for one in every_optimizer({"name": name})]:
        try:
            made.append(choose_optimizer(one, rate, allow_code))
        except GdbenchError as error:
            faults.append(f"{where}: --add {one['name']}: {error}")
    return tuple(made)


def _names(trial: Trial) -> dict[str, set[str]]:
    return {
        "problem": {n for c in trial.problems for n in (c.problem.name, c.problem.label)},
        "optimizer": {n for c in trial.optimizers for n in (c.optimizer.name, c.label)},
    }


def _unmatched(what: str, wanted: Sequence[str], trials: Sequence[Trial], place: str) -> list[str]:
    known = set().union(*(_names(trial)[what] for trial in trials))
    return [
        f"{place}: no {what} {name!r} in this suite: {did_you_mean(name, known)}"
        for name in wanted
        if name not in known
    ]


def _select(trial: Trial, problems: Sequence[str], optimizers: Sequence[str]) -> Trial:
    return replace(
        trial,
        problems=tuple(c for c in trial.problems if not problems or {c.problem.name, c.problem.label} & {*problems}),
        optimizers=tuple(c for c in trial.optimizers if not optimizers or {c.optimizer.name, c.label} & {*optimizers}),
    )


QUICK = 8
QUICK_STEPS = 200
QUICK_INSTANCES = 3


def _thin(trial: Trial) -> Trial:
    """The same trial on at most 8 values an axis (its ends among them), 8 starts and 200 steps."""

    def few(values: Values) -> Values:
        n = len(values)
        keep = sorted({round(i * (n - 1) / (QUICK - 1)) for i in range(QUICK)}) if n > QUICK else range(n)
        return Values(tuple(values.values[i] for i in keep), values.scale)

    starts = trial.starts
    if starts.kind == "points":
        starts = replace(starts, points=starts.points[:QUICK])
    elif starts.kind == "grid":
        counts = starts.num if isinstance(starts.num, tuple) else (starts.num,)
        most = 3 if isinstance(starts.num, tuple) else QUICK
        starts = replace(
            starts, num=tuple(min(c, most) for c in counts) if isinstance(starts.num, tuple) else min(counts[0], 3)
        )
    elif not isinstance(starts.num, tuple):
        starts = replace(starts, num=min(starts.num, QUICK))
    return replace(
        trial,
        steps=min(trial.steps, QUICK_STEPS),
        starts=starts,
        seeds=min(trial.seeds, 2),
        optimizers=tuple(replace(c, axes={n: few(v) for n, v in c.axes.items()}) for c in trial.optimizers),
        problems=tuple(
            replace(c, axes={n: few(v) for n, v in c.axes.items()}, instances=c.instances[:QUICK_INSTANCES])
            for c in trial.problems
        ),
    )


def grid_of(trial: Trial, choice: ProblemChoice, optimizer: OptimizerChoice) -> Grid:
    """The axes of a cell: instance, hyperparameters, parameters, seed, start (fastest)."""
    axes = []
    if len(choice.instances) > 1:
        numbers = tuple(float(p.settings.get("instance", i)) for i, p in enumerate(choice.instances))
        axes.append(Axis("instance", "instance", Values(numbers)))
    for name, values in optimizer.axes.items():
        if len(values) > 1 or name == "learning_rate":
            axes.append(Axis(name, "hyperparameter", values))
    clash = {a.name for a in axes} & set(choice.axes)
    if clash:
        raise SuiteError([f"{optimizer.label} on {choice.problem.label}: both have an axis {sorted(clash)[0]!r}"])
    axes += [Axis(name, "parameter", values) for name, values in choice.axes.items()]
    noisy = choice.problem.stochastic or optimizer.optimizer.random
    axes.append(Axis("seed", "seed", _count(trial.seeds if noisy else 1)))
    axes.append(Axis("start", "start", _count(trial.starts.count(choice.problem))))
    return Grid(tuple(axes))


def _count(n: int) -> Values:
    return Values(tuple(range(n)))


def size_of(suite: Suite) -> tuple[int, int]:
    """Cells and descents of a suite."""
    grids = [grid_of(t, p, o) for t in suite.trials for p in t.problems for o in t.optimizers for _ in suite.dtypes]
    return len(grids), sum(grid.size for grid in grids)


def describe_suite(header: Header, trials: Sequence[Trial], claims: Sequence[Claim] = ()) -> dict[str, Any]:
    """The resolved suite as plain JSON: every name, setting and value that was used."""

    def axis(values: Values) -> dict[str, Any]:
        return {"values": list(values.values), "scale": values.scale}

    return {
        "suite": header.model_dump(exclude_none=True),
        "experiment": [
            {
                "name": trial.name,
                "problems": [
                    {
                        "name": c.problem.name, "label": c.problem.label,
                        "settings": [dict(p.settings) for p in c.instances],
                        "parameters": dict(c.problem.parameters) | {n: axis(v) for n, v in c.axes.items()},
                    }
                    for c in trial.problems
                ],
                "optimizers": [
                    {
                        "name": c.optimizer.name, "label": c.label, "static": dict(c.static),
                        "hyperparameters": {n: axis(v) for n, v in c.axes.items()},
                    }
                    for c in trial.optimizers
                ],
                "steps": trial.steps, "starts": trial.starts.describe(), "seeds": trial.seeds,
                "targets": axis(trial.targets) if trial.targets else None, "trace": trial.trace, "paths": trial.paths,
                "evaluations": trial.evaluations or None, "record": trial.record, "orbit": trial.orbit,
                "sharpness": trial.sharpness,
                "outcomes": trial.outcomes.model_dump(), "directions": trial.directions, "clock": trial.clock,
            }
            for trial in trials
        ],
        "claim": [claim.model_dump() for claim in claims],
    }  # fmt: skip
