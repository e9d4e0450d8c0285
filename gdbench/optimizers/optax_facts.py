"""What is known of optax's optimizers beside their source text: faults, costs, aliases, where they are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gdbench.contracts import Hyperparameter

_ORIGIN = "the update depends on where the origin lies"
_ON_VECTORS = "made for matrices: on a vector x, as all test functions have, it is"
_STOPS = "takes no step once the squared norm of the gradient is below 2e-16, in float32 too"

NOTES = {
    "adadelta": "optax's default rate None ascends; here a rate is always given",
    "adafactor": f"{_ORIGIN}; its decay is computed in float32, and so is its momentum",
    "amsgrad": "takes the maximum of the averages after their bias is corrected, unlike PyTorch (optax issue 1389)",
    "contrib/cocob": "the learning rate only scales the gradient, to which the rule is blind",
    "contrib/dpsgd": "one example a step: the gradient of the batch is clipped as a whole",
    "contrib/galore": f"{_ON_VECTORS} adam; its projections are computed in float32",
    "contrib/madgrad": "the square root of the step is computed in float32",
    "contrib/momo": f"{_STOPS}; weight decay is wrong upstream (optax pull request 1787)",
    "contrib/momo_adam": f"{_STOPS}; weight decay is wrong upstream (optax pull request 1787)",
    "contrib/muon": f"{_ON_VECTORS} nadam",
    "contrib/sam": "every second step is a move to where f is worst nearby, and only the others are judged; "
    "NaN at a point where the gradient is exactly 0",
    "contrib/sophia": "draws its signs in float32",
    "fromage": f"{_ORIGIN}; it decays x by itself",
    "lamb": _ORIGIN,
    "lars": _ORIGIN,
    "lbfgs": "its line search may end without a good step, and then takes the last one it tried",
    "optimistic_adam": "deprecated by optax in favour of optimistic_adam_v2",
    "polyak_sgd": _STOPS,
    "rprop": "emits the update of the step before (optax pull request 1725)",
    "scale_by_backtracking_linesearch": "where no try is good it takes the last one, and so can diverge",
    "scale_by_zoom_linesearch": "where no try is good it takes the last one",
    "sm3": "fails where x has a leaf that is a scalar (optax pull request 1736)",
}
"""Upstream faults and limits that the report prints beside the results."""

DEPRECATED = ("optimistic_adam", "contrib/dpsgd")
"""Constructors that warn of their own deprecation, or of that of an argument they must be given."""

NO_DEFAULT: Mapping[str, Mapping[str, Hyperparameter]] = {
    "contrib/dpsgd": {
        "l2_norm_clip": Hyperparameter(1.0, "the private MNIST example of JAX"),
        "noise_multiplier": Hyperparameter(1.1, "the private MNIST example of JAX"),
    },
    "contrib/mechanize": {"learning_rate": Hyperparameter(1.0, "optax's example")},
    "lbfgs": {"learning_rate": Hyperparameter(1.0, "optax: None, which is 1")},
    "lookahead": {
        "sync_period": Hyperparameter(5, "optax's example", static=True),
        "slow_step_size": Hyperparameter(0.5, "optax's example"),
    },
    "scale_by_backtracking_linesearch": {
        "learning_rate": Hyperparameter(1.0, "optax's example"),
        "max_backtracking_steps": Hyperparameter(15, "optax's example", static=True),
    },
    "scale_by_zoom_linesearch": {
        "learning_rate": Hyperparameter(1.0, "optax's example"),
        "max_linesearch_steps": Hyperparameter(15, "optax's example", static=True),
    },
}
"""Defaults where optax states none, or None for a number."""

NO_DECAY = Hyperparameter(0.0, "gdbench: 0, because decay moves the minimum")

STATIC = {"contrib/reduce_on_plateau": ("factor", "rtol", "atol")}
"""Numbers that a constructor compares in Python, so that they cannot be traced."""

COSTS = {
    "contrib/sophia": "1 g, and 1 h every update_interval steps",
    "lbfgs": "counted",
}
"""Cost of a step where it is not one gradient."""

JUDGED = ("lookahead", "schedule_free", "sam")
"""Functions of optax whose result wants to be judged elsewhere than at x."""


def judged_by(path: str) -> str | None:
    """Which of ``JUDGED`` the constructor of that path makes, if any."""
    name = path.split("/")[-1]
    return next((kind for kind in JUDGED if name == kind or name.startswith(kind + "_")), None)


# One rule under several names


def _momentum(h: Mapping[str, Any]) -> str:
    if not h["momentum"]:
        return "gd"
    return "nesterov" if h["nesterov"] else "momentum"


def _adam(h: Mapping[str, Any]) -> str:
    name = ("nadam" if h["nesterov"] else "adam") + ("w" if h.get("weight_decay") else "")
    return "adam" if name == "adam" and not h["eps_root"] else f"optax/{name}"


def _adamax(h: Mapping[str, Any]) -> str:
    return "optax/adamaxw" if h.get("weight_decay") else "optax/adamax"


def _ademamix(h: Mapping[str, Any]) -> str | None:
    """Without its slow average it is Adam."""
    return None if h["alpha"] else _adam({**h, "nesterov": False})


def _rmsprop(h: Mapping[str, Any]) -> str | None:
    others = ("centered", "momentum", "initial_scale", "bias_correction")
    return "rmsprop" if h["eps_in_sqrt"] and not any(h[name] for name in others) else None


def _signum(h: Mapping[str, Any]) -> str:
    return "optax/signum" if h["beta"] else "optax/sign_sgd"


def _optimistic_gradient(h: Mapping[str, Any]) -> str | None:
    return "gd" if h["alpha"] == 1 and not h["beta"] else None


def _optimistic_adam(h: Mapping[str, Any]) -> str | None:
    """The rate is its optimism too, unless another is given: the second version with both factors 1."""
    return "optax/optimistic_adam_v2" if h["optimism"] is None else None


def _schedule_free(h: Mapping[str, Any]) -> str | None:
    plain = h.get("base", "sgd").strip() == "sgd"
    changed = h.get("weight_decay") or h.get("warmup_steps")
    return "optax/contrib/schedule_free_sgd" if plain and not changed else None


RULES: Mapping[str, str | Callable[[Mapping[str, Any]], str | None]] = {
    "adagrad": "adagrad",
    "adam": _adam,
    "adamax": _adamax,
    "adamaxw": _adamax,
    "adamw": _adam,
    "contrib/ademamix": _ademamix,
    "contrib/schedule_free": _schedule_free,
    "contrib/schedule_free_sgd": _schedule_free,
    "nadam": _adam,
    "nadamw": _adam,
    "optimistic_adam": _optimistic_adam,
    "optimistic_gradient_descent": _optimistic_gradient,
    "rmsprop": _rmsprop,
    "sgd": _momentum,
    "signum": _signum,
}
"""Names that a rule goes by, those of gdbench's own rules before optax's."""


def _sgd_form(h: Mapping[str, Any]) -> str:
    """The closed form that describes optax.sgd with these hyperparameters."""
    if h.get("momentum", 0) is None:
        return "gradient_descent"
    return "nesterov" if h.get("nesterov") else "heavy_ball"


CLOSED_FORMS = {"sgd": _sgd_form}
