"""How a formula becomes an optimizer: small helpers that the catalogue files share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from gdbench.contracts import Array, Cost, Hyperparameter, Named, Optimizer, Oracle, Step

RATE = Hyperparameter(None, "none: a rate must be given")


def gradient_rule(
    update: Callable[..., tuple[Array, Any]],
    init: Callable[..., Any] = lambda x, h: (),
    theory: Named = None,
    **hyperparameters: Hyperparameter,
) -> Optimizer:
    """An optimizer from a rule ``update(g, x, state, h, k) -> (change of x, state)`` on flat vectors.

    Name, formula and source come from the rule: its name, the first paragraph of its docstring, and what follows
    ``Source:`` there.
    """

    def begin(oracle: Oracle, x: Array, h: Any) -> Any:
        return init(x, h)

    def step(oracle: Oracle, x: Array, state: Any, h: Any, k: Array) -> Step:
        value, gradient = oracle.value_and_grad(x)
        change, state = update(gradient, x, state, h, k)
        return Step(x + change, state, value, gradient, Cost(g=1))

    (formula, source), name = documented(update), update.__name__.strip("_")
    return Optimizer(
        name,
        begin,
        step,
        {"learning_rate": RATE, **hyperparameters},
        formula,
        source,
        theory=theory,
        rule=name,
    )


def host_method(name: str, run: Callable[..., None], **facts: Any) -> Optimizer:
    """An optimizer that runs on the host: ``run(oracle, x0, h)`` walks, and says ``oracle.visit(x)`` after each step.

    ``oracle`` is a ``gdbench.kernels.host.HostOracle``. The kernel replays what was visited.
    """

    def begin(oracle: Oracle, x: Array, h: Any) -> Any:
        return ()

    def replay(oracle: Oracle, x: Array, state: Any, h: Any, k: Array) -> Step:
        f, g, hvp = h.path_costs[k]
        return Step(h.path[k], state, cost=Cost(f, g, hvp))

    facts = {"family": "outside", "needs": ("full batch",), "costs": "counted", "uses_gradient": False, **facts}
    return Optimizer(name, begin, replay, host=run, **facts)


def documented(rule: Callable[..., Any]) -> tuple[str, str]:
    """Formula (first paragraph) and source (after ``Source:``) of a rule's docstring, each on one line."""
    text = inspect.getdoc(rule) or ""
    formula, _, rest = text.partition("\n\n")
    _, _, source = rest.partition("Source:")
    return " ".join(formula.split()), " ".join(source.split())


def static_values(optimizer: Optimizer, given: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters that shape the program, with their values: static ones, and optional ones left at None."""
    values = {name: given.get(name, spec.default) for name, spec in optimizer.hyperparameters.items()}
    specs = optimizer.hyperparameters
    return {n: v for n, v in values.items() if specs[n].static or (specs[n].optional and v is None)}
