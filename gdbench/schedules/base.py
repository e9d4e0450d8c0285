"""How a schedule and an optimizer become one optimizer."""

from __future__ import annotations

import dataclasses
import re
from types import SimpleNamespace
from typing import Any

from gdbench.contracts import Array, Hyperparameter, Optimizer, Oracle, Schedule, Step
from gdbench.errors import SuiteError
from gdbench.lazy import jnp


def progress(k: Array, steps: int, dtype: Any) -> Array:
    """Share of the budget that is over at step k: from 0 at the first step to 1 at the last."""
    return k.astype(dtype) / max(1, steps - 1)


def scheduled(optimizer: Optimizer, schedule: Schedule) -> Optimizer:
    """The optimizer with its learning rates multiplied by the schedule's factor at each step.

    These are ``learning_rate`` and those named after it (``learning_rate_1``, of further layers). Its hyperparameters
    are joined by those of the schedule and by the static ``schedule``, the schedule's name.

    Raises:
        SuiteError: where there is no learning rate, or both have a hyperparameter of the same name.
    """
    if "learning_rate" not in optimizer.hyperparameters or optimizer.host is not None:
        raise SuiteError([f"{optimizer.name} has no learning rate that a schedule could change"])
    twice = set(optimizer.hyperparameters) & set(schedule.hyperparameters)
    if twice:
        raise SuiteError([f"{optimizer.name} and the schedule {schedule.name!r} both have {sorted(twice)[0]!r}"])
    inner_init, inner_step = optimizer.init, optimizer.step
    rates = [name for name in optimizer.hyperparameters if re.fullmatch(r"learning_rate(_\w+)?", name)]

    def at(k: Array, steps: int, h: Any) -> Any:
        if h.learning_rate is None:
            raise SuiteError([f"{optimizer.name} needs a learning rate that the schedule could change"])
        factor = jnp.asarray(schedule.factor(k, steps, h), h.learning_rate.dtype)
        # An optional rate that was not given follows the first one.
        now = {name: rate * factor for name in rates if (rate := getattr(h, name)) is not None}
        return SimpleNamespace(**{**vars(h), **now})

    def init(oracle: Oracle, x: Array, h: Any) -> Any:
        return inner_init(oracle, x, at(jnp.int32(0), oracle.steps, h))

    def step(oracle: Oracle, x: Array, state: Any, h: Any, k: Array) -> Step:
        return inner_step(oracle, x, state, at(k, oracle.steps, h), k)

    name = Hyperparameter("constant", "gdbench: no schedule", static=True)
    return dataclasses.replace(
        optimizer,
        init=init,
        step=step,
        hyperparameters={**optimizer.hyperparameters, "schedule": name, **schedule.hyperparameters},
        formula=f"{optimizer.formula};  α_k = α · ({schedule.formula})",
        # No closed form holds under a rate that changes, and the rule is another one.
        theory=None,
        rule=lambda values: None,
    )
