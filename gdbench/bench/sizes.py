"""How much work a run of the benchmark does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Lanes and steps of every part.

    Attributes:
        rates: learning rates of the descents.
        starts: starts of the descents.
        steps: of the descents.
        single: descents of the ways that take one at a time.
        curve_lanes: lanes at which throughput is measured.
        curve_steps: steps there.
        patience: seconds that one point of the curve, or one way of a larger problem, may take before it is repeated
            less often.
        bbob: learning rates, starts and steps on the functions of BBOB.
        trainability: learning rates of either layer, and steps.
        digits: trainings at once, their steps, and those of them that torch does.
        stored: descents of the run whose memory and disk are measured.
        starting: repetitions of a command whose time to start is measured.
        cells: optimizers, problems and descents of the run of many cells.
        left_out: rows that are measured only where they are asked for: endings of their names.
    """

    rates: int = 256
    starts: int = 256
    steps: int = 1000
    single: int = 4
    curve_lanes: tuple[int, ...] = (100, 1000, 10_000, 100_000, 1_000_000, 10_000_000)
    curve_steps: int = 500
    patience: float = 30.0
    bbob: tuple[int, int, int] = (64, 64, 1000)
    trainability: tuple[int, int] = (128, 500)
    digits: tuple[int, int, int] = (256, 1000, 2)
    stored: int = 10_000_000
    starting: int = 5
    cells: tuple[int, int, int] = (40, 25, 4096)
    left_out: tuple[str, ...] = ()


FULL = Sizes()

QUICK = Sizes(
    rates=128, starts=128, single=1, curve_lanes=(100, 10_000, 100_000), patience=0.5, bbob=(16, 16, 500),
    trainability=(32, 200), digits=(32, 200, 1), stored=200_000, starting=3, cells=(3, 3, 4096),
    left_out=("-full", "bbob-f8", "bbob-f15", "trainability", "digits"),
)  # fmt: skip
"""Done in about a minute, most of which is compilation."""
