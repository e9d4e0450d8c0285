"""What is static about a descent, how its steps are cut into chunks and windows, and its thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


def window_length(steps: int) -> int:
    """W, the last steps that decide an outcome: max(32, steps/10), but never more than half of a short budget."""
    return max(1, min(max(32, steps // 10), steps // 2))


def chunk_length(steps: int) -> int:
    """Steps per chunk: the divisor of ``steps`` nearest 48 in [16, 64], so that no second program is needed.

    Without such a divisor 48 is taken and the rest makes a shorter chunk of its own (compiled once more).
    """
    if steps <= 64:
        return max(1, steps)
    divisors = [n for n in range(16, 65) if steps % n == 0]
    return min(divisors, key=lambda n: abs(n - 48)) if divisors else 48


def rate_window(steps: int, chunk: int) -> int:
    """Length of the windows between which ``rate`` is taken: about a 32nd of the budget, in step with the chunks.

    At least 16 steps, if the budget has room for two.
    """
    wanted = max(1, steps // 32, min(16, steps // 2))
    if wanted >= chunk:
        return chunk * (wanted // chunk)
    return max(n for n in range(1, wanted + 1) if chunk % n == 0)


@dataclass(frozen=True)
class Shape:
    """What is static about a descent beside problem and optimizer: it decides the compiled program.

    ``budget``: no step is begun once so much is spent, f + c g + h hvp in evaluations on a batch; 0 for no such bound.
    ``cut``: such a bound made these steps fewer, where all of them cost the same.
    ``full``: overshoots are counted over all steps, and a descent that stops early keeps its last gradient norm.
    ``bare``: nothing is judged; only the last and the best value are kept.
    """

    steps: int
    trace_steps: tuple[int, ...] = ()
    path_steps: tuple[int, ...] = ()
    targets: int = 0
    endpoint: bool = False
    budget: float = 0.0
    cut: bool = False
    full: bool = False
    bare: bool = False


@dataclass(frozen=True)
class Layout:
    """Lengths in steps: of a chunk, between judged points, of W; and of the windows of ``rate`` in judged points.

    ``by_gradient``: without a known minimum, ``rate`` follows the squared gradient norm, which falls like the gap does
    on a quadratic.
    """

    chunk: int
    stride: int
    window: int
    rate_window: int
    by_gradient: bool = False


class Thresholds(NamedTuple):
    """The numbers of the outcomes, one set a lane (they may depend on traced parameters).

    Attributes:
        tolerance: the gap that counts as converged.
        scale: S, median of f - f* over the start box.
        gradient_scale: G, median gradient norm there.
        floor: the objective at the minimum (or at the target), so that gap = objective - floor.
        offset: f - objective.
        minimum: |f*|.
        width: widest side of the start box; 0 without a box, where max(1, max|x0|) takes its place.
    """

    tolerance: Any
    scale: Any
    gradient_scale: Any
    floor: Any
    offset: Any
    minimum: Any
    width: Any
