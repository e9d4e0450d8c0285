"""The main table: every way on the descents of gradient descent and Adam, checked, timed and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from gdbench.bench import ways
from gdbench.bench.timing import Row, attempt, timed
from gdbench.bench.ways import Way
from gdbench.bench.work import Work, check

GROUP = "descents"


def rows(works: Sequence[Work], chosen: Sequence[Way], say: Callable[[str], None]) -> Iterator[Row]:
    """A row for every work and way, with its ratios.

    Raises:
        WrongAnswerError: for a way whose answer is not that of the work; no number of it is given.
    """
    for work in works:
        done = []
        for way in chosen:
            say(f"{way.name}, {work.optimizer}")
            done.append(row(work, way))
        yield from compared(done)


def row(work: Work, way: Way) -> Row:
    """One way on one work; where it cannot run here, why."""

    def fill(told: Row) -> None:
        ready = way.ready(work)
        told.compile_seconds = ready.compile_seconds
        times, out = timed(ready.run)
        told.take(times, len(ready.lanes), work.steps)
        if ready.table is not None:
            times, out = timed(ready.table)
            told.take_table(times)
        told.take_agreement(check(way.name, work, ready.lanes, ready.best(out)))

    return attempt(Row(f"{GROUP}, {work.optimizer}", way.name, way.summary, lanes_whole=work.lanes), fill)


def compared(done: Sequence[Row]) -> Sequence[Row]:
    """The rows of one piece of work with their ratios; None where what they are compared with was not measured."""
    speed = {row.name: row.lane_steps_per_second for row in done}
    for row in done:
        row.to_plain = ratio(row.lane_steps_per_second, speed.get(ways.PLAIN))
        row.to_limit = ratio(row.lane_steps_per_second, speed.get(ways.LIMIT))
        row.to_limit_of_one_core = ratio(row.lane_steps_per_second, speed.get(ways.LIMIT_OF_ONE_CORE))
    return done


def ratio(speed: float | None, other: float | None) -> float | None:
    """speed / other, where both are known."""
    return None if speed is None or other is None else speed / other
