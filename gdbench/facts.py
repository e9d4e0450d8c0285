"""What is known of a problem: its tags, its facts as plain values, its scales, and all that as lines to read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gdbench.choices import ProblemChoice
from gdbench.contracts import Problem

LISTED = 64
"""Arrays of more numbers than these are told by their shape, or by the number that all of them are."""

EACH = " in each of "


def tags(problem: Problem) -> list[str]:
    """What can be said of a problem in a word each."""
    words = {
        "convex": problem.convex is True, "separable": problem.separable, "stochastic": problem.stochastic,
        "held-out": problem.held_out is not None, "pytree": problem.template is not None,
        "unbounded": not problem.bounded, "within-box": problem.within_box, "kinks": _points(problem.kinks) > 0,
    }  # fmt: skip
    return [word for word, holds in words.items() if holds]


def facts(problem: Problem) -> dict[str, Any]:
    """Everything that is known of a problem without evaluating it, as plain JSON."""
    curvature = problem.curvature(problem.parameters) if problem.curvature else None
    told = {
        "settings": problem.settings, "parameters": problem.parameters, "dim": problem.dim, "tags": tags(problem),
        "formula": problem.formula, "source": problem.source, "box": problem.box, "start": problem.start,
        "goal": problem.goal, "bounded": problem.bounded, "minimum": problem.minimum, "minimizers": problem.minimizers,
        "minimizers_count": _points(problem.minimizers), "all_minimizers": problem.all_minimizers,
        "target": problem.target, "target_origin": problem.target_origin, "target_unit": problem.target_unit,
        "convex": problem.convex,
        "separable": problem.separable, "within_box": problem.within_box, "kinks": problem.kinks,
        "kinks_count": _points(problem.kinks), "curvature": curvature,
        "curvature_is_local": problem.curvature_is_local, "offset": problem.offset, "tolerance": problem.tolerance,
        "stochastic": problem.stochastic, "batch_share": problem.batch_share, "judge_every": problem.judge_every,
        "x": shapes(problem.template) if problem.template is not None else [problem.dim], "data": shapes(problem.data),
        "data_rows": rows(problem.data, problem.stochastic), "held_out": shapes(problem.held_out),
        "held_out_rows": rows(problem.held_out, problem.stochastic),
        "notes": problem.notes,
    }  # fmt: skip
    return {key: plain(value) for key, value in told.items()}


def scales(problem: Problem) -> dict[str, Any]:
    """S, G and the tolerances by which descents are judged, and how they came about. Imports JAX."""
    from gdbench import plan
    from gdbench.forms import OutcomeSettings
    from gdbench.grid import Starts
    from gdbench.kernels import scale
    from gdbench.suite import Trial

    choice = ProblemChoice((problem,), {})
    trial = Trial("", (choice,), (), 1, Starts(), 1, None, 0, 0, OutcomeSettings())
    limits = {dtype: plan.thresholds(choice, trial, dtype) for dtype in plan.TOLERANCE}
    one = limits["float64"]
    origin, gradient = scale.origins(problem)
    tolerance = {dtype: float(limit.tolerance[0]) for dtype, limit in limits.items()}
    if problem.goal != "minimum":
        tolerance = None
    return {
        "scale": float(one.scale[0]), "scale_origin": origin,
        "gradient_scale": float(one.gradient_scale[0]), "gradient_scale_origin": gradient,
        "tolerance": tolerance, "tolerance_origin": _tolerance_origin(problem, plan.TOLERANCE),
    }  # fmt: skip


def _tolerance_origin(problem: Problem, constants: Mapping[str, float]) -> str:
    if problem.goal == "minimum":
        if problem.tolerance:
            return "the problem's own"
        words = " and ".join(f"{c:g} in {dtype}" for dtype, c in constants.items())
        return f"max(c min(1, S), 64 eps |f*|), c = {words}"
    return {
        "target": "none: converged means that f is at the target or below it, and stays there",
        "rest": "none: no minimum is known; converged means at rest, and is flagged unverified",
    }.get(problem.goal, "none: f has no minimum")


def shapes(tree: Any) -> Any:
    """The shape of every leaf of a pytree; None for no data."""
    if tree is None or (isinstance(tree, tuple) and not tree):
        return None
    if isinstance(tree, Mapping):
        return {str(key): shapes(item) for key, item in tree.items()}
    if isinstance(tree, (list, tuple)):
        return {str(place): shapes(item) for place, item in enumerate(tree)}
    return list(np.shape(tree))


def rows(tree: Any, drawn: bool) -> int | None:
    """How many rows the data have; None where their arrays need not count any (a factor of a matrix, say).

    They do where mini-batches are ``drawn`` from them, and under the name "rows".
    """
    if isinstance(tree, Mapping):
        if "rows" in tree:
            return rows(tree["rows"], True)
        if "inner" in tree:  # a transform wraps the data of the problem within
            return rows(tree["inner"], drawn)
    found = {shape[0] for shape in _leaves(shapes(tree)) if shape}
    return found.pop() if drawn and len(found) == 1 else None


def _leaves(told: Any) -> list[Sequence[int]]:
    if isinstance(told, Mapping):
        return [leaf for item in told.values() for leaf in _leaves(item)]
    return [] if told is None else [told]


def _points(points: Any) -> int:
    return 0 if points is None else len(points)


def plain(value: Any) -> Any:
    """A value as JSON can hold it; numbers that are not finite become texts."""
    if isinstance(value, np.ndarray):
        if value.size <= LISTED:
            return plain(value.tolist())
        same = value.ndim == 1 and bool((value == value[0]).all())
        return f"{value[0]:.10g}{EACH}{value.size:,} coordinates" if same else f"array of shape {value.shape}"
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


# Lines to read


MOST_LINES = 8
"""Minimizers and sides of a box that are shown one by one."""


def sheet(told: Mapping[str, Any]) -> dict[str, list[str]]:
    """The facts as lines for people, by name; what does not concern this problem is left out."""
    lines = {
        "kind": [told["kind"]], "name": [told["name"]], "family": [told.get("family")], "summary": [told["summary"]],
        "formula": [told["formula"]], "source": [told["source"]], "dim": [told["dim"]],
        "settings": _named(told["settings"]), "parameters": _named(told["parameters"]),
        "box": _box(told["box"]), "start": _start(told["start"]), "minimum": [_minimum(told)],
        "minimizers": _minimizers(told), "target": [_target(told)], "tags": [", ".join(told["tags"])],
        "convex": ["unknown" if told["convex"] is None else "yes" if told["convex"] else "no"],
        "curvature": [_curvature(told)], "kinks": [_kinks(told)], "data": [_rows_text(told, "data")],
        "held out": [_rows_text(told, "held_out")], "mini-batches": [_batches(told)],
        "scale S": [_with_origin(told, "scale")], "scale G": [_with_origin(told, "gradient_scale")],
        "tolerance": [_tolerance(told)], "notes": [told["notes"]],
        "picture": [told.get("picture")],
    }  # fmt: skip
    kept = {name: [str(line) for line in shown if line not in (None, "")] for name, shown in lines.items()}
    return {name: shown for name, shown in kept.items() if shown}


def _named(values: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {value}" for name, value in values.items()]


def _vector(point: Sequence[float]) -> str:
    if len(point) > 4 and len(set(point)) == 1:
        return f"{point[0]:.10g} in every coordinate"
    return "(" + ", ".join(f"{v:.10g}" for v in point) + ")"


def _start(start: Any) -> list[str]:
    if start is None:
        return ["the middle of the box"]
    return [start if isinstance(start, str) else _vector(start)]


def _box(box: Any) -> list[str]:
    if box is None:
        return ["none"]
    if any(isinstance(end, str) for end in box):
        plain_ends = [end.partition(EACH)[0] for end in box if EACH in end]
        if len(plain_ends) < 2:
            return ["different in every coordinate"]
        return [f"[{', '.join(plain_ends)}] in every coordinate"]
    sides = [f"[{low:.10g}, {high:.10g}]" for low, high in zip(*box, strict=True)]
    if len(set(sides)) == 1:
        return [sides[0] + (" in every coordinate" if len(sides) > 1 else "")]
    shown = [f"x{i} in {side}" for i, side in enumerate(sides[:MOST_LINES])]
    return shown + ([f"and {len(sides) - MOST_LINES} more coordinates"] if len(sides) > MOST_LINES else [])


def _minimum(told: Mapping[str, Any]) -> str:
    if not told["bounded"]:
        return "none: f is not bounded below"
    if told["minimum"] is None:
        return "unknown"
    return repr(float(told["minimum"])) + (", in the box: f is lower outside of it" if told["within_box"] else "")


def _minimizers(told: Mapping[str, Any]) -> list[str]:
    points, count = told["minimizers"], told["minimizers_count"]
    if points is None:
        return ["unknown"] if told["minimum"] is not None else []
    end = "these are all" if told["all_minimizers"] else "there may be more"
    if isinstance(points, str):
        return [f"{count:,} known, {points}; {end}"]
    shown = [_vector(point) for point in points[:MOST_LINES]]
    return [*shown, f"and {count - MOST_LINES} more; {end}"] if count > MOST_LINES else [*shown, end]


def _target(told: Mapping[str, Any]) -> str:
    if told["target"] is None:
        return ""
    return f"{told['target']:.10g}" + (f": {told['target_origin']}" if told["target_origin"] else "")


def _curvature(told: Mapping[str, Any]) -> str:
    if told["curvature"] is None:
        return "unknown"
    m, largest = told["curvature"]
    where = "at the minimizers" if told["curvature_is_local"] else "everywhere"
    finite = all(isinstance(end, (int, float)) for end in (m, largest))
    condition = f", condition {largest / m:.6g}" if finite and m > 0 else ""
    return f"m = {m:.10g}, L = {largest:.10g} {where}{condition}" if finite else f"m = {m}, L = {largest} {where}"


def _kinks(told: Mapping[str, Any]) -> str:
    count = told["kinks_count"]
    return f"f is not differentiable everywhere: {count} such point{'s' if count > 1 else ''} stated" if count else ""


def _rows_text(told: Mapping[str, Any], what: str) -> str:
    if told[what] is None:
        return ""
    count = told[f"{what}_rows"]
    return (f"{count:,} rows: " if count else "") + _shapes_text(told[what])


def _shapes_text(told: Any) -> str:
    if isinstance(told, Mapping):
        texts = {name: _shapes_text(item) for name, item in told.items()}
        return ", ".join(f"{n} ({t})" if isinstance(told[n], Mapping) else f"{n} {t}" for n, t in texts.items())
    return str(told) if told else "(one number)"


def _batches(told: Mapping[str, Any]) -> str:
    if not told["stochastic"]:
        return ""
    share = f"{told['batch_share']:.3g} of the data a step, " if told["batch_share"] < 1 else ""
    return f"{share}judged on all of them every {told['judge_every']} steps"


def _with_origin(told: Mapping[str, Any], what: str) -> str:
    if what not in told:
        return ""
    value, origin = f"{told[what]:.3g}", told[f"{what}_origin"]
    return origin if origin.startswith(f"{value},") else f"{value}, the {origin}"


def _tolerance(told: Mapping[str, Any]) -> str:
    if "tolerance_origin" not in told:
        return ""
    if not isinstance(told["tolerance"], Mapping):
        return told["tolerance_origin"]
    values = ", ".join(f"{value:.3g} in {dtype}" for dtype, value in told["tolerance"].items())
    return f"{values}: {told['tolerance_origin']}"
