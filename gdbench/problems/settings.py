"""Rules for the settings of a problem; a family lists those that were broken and refuses them together."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

from gdbench.errors import SuiteError, did_you_mean


def whole_number(problem: str, setting: str, value: Any, least: int, most: int | None = None) -> list[str]:
    """The fault, if the value is not an integer in [least, most]."""
    # True is an integer to Python, but a mistake in a suite.
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        if int(value) >= least and (most is None or int(value) <= most):
            return []
    rule = f"of at least {least}" if most is None else f"from {least} to {most}"
    return [f"problem {problem!r}: {setting} must be an integer {rule}, received {value!r}"]


def one_of(problem: str, setting: str, value: Any, choices: Sequence[str]) -> list[str]:
    """The fault, if the value is not one of the choices."""
    if value in choices:
        return []
    rule = f"must be one of {', '.join(map(repr, choices))}"
    return [f"problem {problem!r}: {setting} {rule}, received {value!r} ({did_you_mean(str(value), choices)})"]


def true_or_false(problem: str, setting: str, value: Any) -> list[str]:
    """The fault, if the value is not a truth value."""
    if isinstance(value, bool):
        return []
    return [f"problem {problem!r}: {setting} must be true or false, received {value!r}"]


def refuse(faults: list[str]) -> None:
    """Raise one SuiteError with all the faults, if there are any."""
    if faults:
        raise SuiteError(faults)
