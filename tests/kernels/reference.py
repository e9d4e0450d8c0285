"""A plain reference: one descent in a Python loop, kept whole, and its record by a literal reading of the definitions.

Nothing is tracked on the way. Every value, gradient and iterate is kept, and each column is read off these lists.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdbench.kernels.layout import chunk_length, rate_window, window_length

Gradient = Callable[[np.ndarray], tuple[Any, np.ndarray]]


@dataclass(frozen=True)
class Function:
    """A function with its gradient, both in the dtype of x; f* = 0 and no offset."""

    name: str
    settings: Mapping[str, Any]
    value_and_gradient: Gradient


def _parabola(x: np.ndarray) -> tuple[Any, np.ndarray]:
    return x[0] ** 2, 2 * x


def _quadratic(x: np.ndarray) -> tuple[Any, np.ndarray]:
    eigenvalues = np.array([1, 10], x.dtype)
    return np.sum(eigenvalues * x**2) / 2, eigenvalues * x


def _rosenbrock(x: np.ndarray) -> tuple[Any, np.ndarray]:
    valley, along = x[1] - x[0] ** 2, 1 - x[0]
    return 100 * valley**2 + along**2, np.array([-400 * valley * x[0] - 2 * along, 200 * valley], x.dtype)


PARABOLA = Function("parabola", {}, _parabola)
QUADRATIC = Function("quadratic", {"condition": 10.0}, _quadratic)
ROSENBROCK = Function("rosenbrock", {}, _rosenbrock)


@dataclass
class History:
    """Step k = 0 … stop: iterates [dim], values, gradient norms; and the step at which it stopped, with the reason."""

    x: list[np.ndarray]
    f: list[Any]
    norm: list[float]
    stopped: tuple[int, str] | None


def simulate(
    function: Function,
    start: Sequence[float],
    settings: Mapping[str, float],
    steps: int,
    dtype: str,
    known: Mapping[str, Any],
) -> History:
    """Gradient descent with momentum (0 where it has none), up to the step where it must be stopped."""
    real = np.dtype(dtype).type
    rate, momentum = real(settings["learning_rate"]), real(settings.get("momentum", 0.0))
    x0 = x = np.array(start, dtype)
    velocity = np.zeros_like(x)
    width = max(b - a for a, b in zip(*known["box"], strict=True))
    history = History([], [], [], None)
    with np.errstate(all="ignore"):
        for k in range(steps + 1):
            f, gradient = function.value_and_gradient(x)
            history.x.append(x)
            history.f.append(f)
            history.norm.append(float(np.sqrt(np.sum(gradient**2))))
            bound = 1e6 * max(known["scale"], abs(float(history.f[0])))
            if not (np.isfinite(f) and np.isfinite(x).all()):
                history.stopped = (k, "nonfinite")
            elif abs(float(f)) > bound or float(np.max(np.abs(x - x0))) > 1e6 * width:
                history.stopped = (k, "diverged")
            if history.stopped:
                break
            velocity = momentum * velocity + gradient
            x = x - rate * velocity
    return history


def _overshoot_steps(h: History) -> list[int]:
    updates = [b - a for a, b in zip(h.x, h.x[1:], strict=False)]
    return [
        k for k in range(1, len(updates)) if float(np.dot(updates[k].astype(float), updates[k - 1].astype(float))) < 0
    ]


def _outcome(h: History, steps: int, known: Mapping[str, Any]) -> str:
    if h.stopped:
        return h.stopped[1]
    window = window_length(steps)
    late = range(steps - window, steps + 1)
    if all(h.f[k] <= known["tolerance"] for k in late):
        return "converged"
    if all(h.norm[k] <= 1e-6 * known["gradient_scale"] for k in late):
        return "trapped"
    mean = float(np.mean(np.array(h.f[steps - window :], float)))
    before = float(np.mean(np.array(h.f[max(0, steps - 2 * window) : steps - window] or [np.inf], float)))
    most = max(h.f[steps - window :])
    most_before = max(h.f[max(0, steps - 2 * window) : steps - window], default=np.inf)
    flat = mean > 0.99 * before or most > 0.99 * most_before
    if any(k >= steps - window for k in _overshoot_steps(h)) and flat:
        return "oscillating"
    return "unfinished"


def _settle_step(h: History, known: Mapping[str, Any]) -> int | None:
    if h.stopped or h.f[-1] > known["tolerance"]:
        return None
    above = [k for k, f in enumerate(h.f) if f > known["tolerance"]]
    return above[-1] + 1 if above else 0


def _rate(h: History, steps: int, dtype: str) -> float:
    """Between the first and the last of the equal windows above the floor; by single points where there is but one."""
    floor = float(np.finfo(dtype).tiny)
    length = rate_window(steps, chunk_length(steps))
    chunk = min(chunk_length(steps), length)
    gaps = np.array(h.f, float)
    whole = steps - steps % chunk
    end = min(whole, h.stopped[0]) if h.stopped else whole
    peaks = [gaps[i : i + length].max() for i in range(0, end - length + 1, length)]
    usable = [(i * length, peak) for i, peak in enumerate(peaks) if peak > floor]
    if len(usable) < 2:
        usable = [(k, gap) for k, gap in enumerate(gaps[: 2 * length]) if floor < gap < math.inf]
    if len(usable) < 2:
        return math.nan
    (first, early), (last, late) = usable[0], usable[-1]
    return (math.log10(late) - math.log10(early)) / (last - first)


def record(h: History, steps: int, dtype: str, known: Mapping[str, Any], cell: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of the table, read off a history."""
    executed = h.stopped[0] if h.stopped else steps
    seen = h.f[: executed if h.stopped else executed + 1] or h.f[:1]
    goals = [tau * known["scale"] for tau in cell["targets"]]
    hits = [next((k for k, f in enumerate(seen) if f <= goal), -1) for goal in goals]
    return {
        "outcome": _outcome(h, steps, known), "steps": executed, "settle_step": _settle_step(h, known),
        "overshoots": len([k for k in _overshoot_steps(h) if k < executed]), "g_evals": executed, "f_evals": 0,
        "hvp_evals": 0, "hits": hits, "f_start": h.f[0], "f_final": h.f[-1], "gap_final": h.f[-1],
        "gap_best": min(seen), "grad_norm_final": h.norm[-1], "rate": _rate(h, steps, dtype),
        "trace_gap": [float(h.f[k]) if k <= executed else math.nan for k in cell["trace_steps"]],
        "trace_best": [float(min(seen[: k + 1])) if k <= executed else math.nan for k in cell["trace_steps"]],
        "path": [float(c) if k <= executed else math.nan for k in cell["path_steps"] for c in _at(h.x, k)],
    }  # fmt: skip


def _at(x: list[np.ndarray], k: int) -> np.ndarray:
    return x[k] if k < len(x) else x[0]


def resolved(h: History, dtype: str) -> bool:
    """Whether no product of two updates and no gap underflows, where hardware may or may not flush to zero."""
    updates = [float(np.abs(b - a).max()) for a, b in zip(h.x, h.x[1:], strict=False)]
    return min(updates, default=1.0) > 100 * math.sqrt(float(np.finfo(dtype).tiny))
