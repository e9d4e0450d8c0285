"""What optax wraps around another optimizer, and its line searches along the gradient.

The optimizer inside is the static hyperparameter ``base``: a name below ``optax/``, with settings if need be, as in
``"sgd"``, ``"contrib/adopt"`` or ``"adam(b1=0.0)"``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

from gdbench.contracts import Hyperparameter, Optimizer, Oracle
from gdbench.errors import SuiteError, did_you_mean
from gdbench.lazy import optax
from gdbench.optimizers import optax_source as source
from gdbench.optimizers.from_optax import construct, described, hyperparameters_at
from gdbench.optimizers.optax_step import from_builder, look_into
from gdbench.optimizers.rules import RATE

BASE = Hyperparameter("sgd", "gdbench: the plainest", static=True)


def parse_base(text: str) -> tuple[str, dict[str, Any]]:
    """Path and settings of a base such as ``"adam(b1=0.0)"``."""
    form = re.fullmatch(r"\s*([\w/]+)\s*(?:\((.*)\))?\s*", text)
    try:
        call = ast.parse(f"f({form[2] or ''})", mode="eval").body if form else None
        given = {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg} if isinstance(call, ast.Call) else {}
    except (SyntaxError, ValueError):
        form = call = None
    if form is None or not isinstance(call, ast.Call) or call.args or len(given) < len(call.keywords):
        raise SuiteError([f"a base is a name below optax/ with numbers, such as 'sgd(momentum=0.9)', got {text!r}"])
    path = form[1].removeprefix("optax/")
    if path not in source.optimizers():
        raise SuiteError([f"optax has no {path!r} to be a base: {did_you_mean(path, source.optimizers())}"])
    known = hyperparameters_at(path)
    for name in given:
        if name not in known or name == "learning_rate":
            raise SuiteError([f"the base {path} has no {name!r}: {did_you_mean(name, set(known) - {'learning_rate'})}"])
    return path, given


def base_of(oracle: Oracle, text: str, learning_rate: Any) -> Any:
    """The transformation inside, at a learning rate."""
    path, given = parse_base(text)
    defaults = {name: spec.default for name, spec in hyperparameters_at(path).items()}
    made = construct(path, oracle, {**defaults, **given, "learning_rate": learning_rate})
    asked = look_into(made)
    if asked.extra or asked.judged:
        why = f"asks for {sorted(asked.extra)[0]}" if asked.extra else "is judged elsewhere than at x"
        raise SuiteError([f"{path} cannot be a base: it {why}"])
    return made


def _lookahead(oracle: Oracle, h: Any, values: dict[str, Any]) -> Any:
    return construct("lookahead", oracle, values, fast_optimizer=base_of(oracle, h.base, h.learning_rate))


def _mechanize(oracle: Oracle, h: Any, values: dict[str, Any]) -> Any:
    return construct("contrib/mechanize", oracle, values, base_optimizer=base_of(oracle, h.base, h.learning_rate))


def _schedule_free(oracle: Oracle, h: Any, values: dict[str, Any]) -> Any:
    return construct("contrib/schedule_free", oracle, values, base_optimizer=base_of(oracle, h.base, h.learning_rate))


def _sam(oracle: Oracle, h: Any, values: dict[str, Any]) -> Any:
    worst = optax.chain(optax.contrib.normalize(), optax.sgd(h.rho))
    inside = base_of(oracle, h.base, h.learning_rate)
    return construct("contrib/sam", oracle, values, optimizer=inside, adv_optimizer=worst)


def _reduce_on_plateau(oracle: Oracle, h: Any, values: dict[str, Any]) -> Any:
    inside = base_of(oracle, h.base, h.learning_rate)
    return optax.chain(inside, construct("contrib/reduce_on_plateau", oracle, values))


def _backtracking(oracle: Oracle, h: Any, values: dict[str, Any]) -> Any:
    # The gradient at the point found serves the next step, unless that sees another batch.
    search = construct("scale_by_backtracking_linesearch", oracle, values, store_grad=not oracle.stochastic)
    return optax.chain(optax.sgd(h.learning_rate), search)


def _zoom(oracle: Oracle, h: Any, values: dict[str, Any]) -> Any:
    return optax.chain(optax.sgd(h.learning_rate), construct("scale_by_zoom_linesearch", oracle, values))


def _entry(
    path: str, build: Callable[..., Any], name: str = "", before: dict[str, Hyperparameter] | None = None, **said: Any
) -> Optimizer:
    own = hyperparameters_at(path)

    def whole(oracle: Oracle, h: Any) -> Any:
        return build(oracle, h, {n: getattr(h, n) for n in own})

    rate = {"learning_rate": own.get("learning_rate", RATE)}
    hyperparameters = {**rate, **(before or {}), **own}
    return from_builder(f"optax/{name or path}", whole, hyperparameters, **{**described(path), **said})


def entries() -> list[Optimizer]:
    """The wrappers over a base, and the line searches along the gradient."""
    base = {"base": BASE}
    rho = {"rho": Hyperparameter(0.05, "Foret et al., ICLR 2021, arXiv 2010.01412")}
    return [
        _entry("lookahead", _lookahead, before=base),
        _entry("contrib/mechanize", _mechanize, before=base),
        _entry("contrib/schedule_free", _schedule_free, before=base),
        _entry("contrib/sam", _sam, before={**base, **rho}, costs="1 g, sync_period g in opaque mode"),
        _entry("contrib/reduce_on_plateau", _reduce_on_plateau, before=base),
        _entry("scale_by_backtracking_linesearch", _backtracking, "backtracking_linesearch", costs="counted"),
        _entry("scale_by_zoom_linesearch", _zoom, "zoom_linesearch", costs="counted"),
    ]
