"""What gdbench says when it cannot go on: one base class, one line, with place, rule and nearest choice."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GdbenchError(Exception):
    """Base of every error that a user can mend; the command line prints it as one line and exits with 2."""

    exit_code = 2


class UnknownNameError(GdbenchError):
    """A name that no catalogue has."""


class SuiteError(GdbenchError):
    """A suite file, or settings given in Python, that break a rule. ``problems`` holds every fault found."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class NothingSelectedError(GdbenchError):
    """A selection that leaves nothing to run or to list."""

    exit_code = 5


class StoreError(GdbenchError):
    """A run folder that cannot be read, written or locked."""


class CellError(GdbenchError):
    """A cell that cannot be compiled or run; the other cells of the run are not touched."""

    exit_code = 1


class NotApplicableError(CellError):
    """An optimizer that is not made for a problem: such a cell is left out, and nothing is wrong with the run."""


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice most like a name, or None when nothing is close."""
    choices = list(choices)
    by_lower = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    if found:
        return by_lower[found[0]]
    # "lion" names no catalogue entry, but "optax/lion" ends in it.
    tails = [choice for choice in choices if choice.lower().rsplit("/", 1)[-1] == name.lower()]
    return tails[0] if tails else None


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """The end of an error message: the nearest choice, or all of them when they are few."""
    choices = sorted(choices)
    close = nearest(name, choices)
    if close:
        return f"did you mean {close!r}?"
    return f"choose one of {', '.join(choices)}" if 0 < len(choices) <= 12 else "nothing there has a similar name"
