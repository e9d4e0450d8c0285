"""Rules of the catalogue against PyTorch's and those of the package pytorch_optimizer, iterate by iterate.

Both are installed by ``pip install 'gdbench[oracles]'``; without them these tests are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from gdbench.catalogue import gather
from gdbench.contracts import Optimizer
from tests.optimizers.walks import oracle_of, path, rosenbrock

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'gdbench[oracles]'")

CATALOGUE = gather("gdbench.optimizers", Optimizer)
START, STEPS = np.array([-1.2, 1.0, 0.4]), 100

TORCH: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("gd", {"learning_rate": 5e-4}, "SGD", {"lr": 5e-4}),
    ("momentum", {"learning_rate": 1e-4, "momentum": 0.8}, "SGD", {"lr": 1e-4, "momentum": 0.8}),
    (
        "nesterov", {"learning_rate": 1e-4, "momentum": 0.8},
        "SGD", {"lr": 1e-4, "momentum": 0.8, "nesterov": True},
    ),
    ("decayed_gd", {"learning_rate": 5e-4, "weight_decay": 0.3}, "SGD", {"lr": 5e-4, "weight_decay": 0.3}),
    (
        "adagrad", {"learning_rate": 0.1, "eps": 0.0, "initial_accumulator": 0.2},
        "Adagrad", {"lr": 0.1, "eps": 0.0, "initial_accumulator_value": 0.2},
    ),
    # The two put eps inside the root and outside of it.
    ("rmsprop", {"learning_rate": 0.01, "decay": 0.95, "eps": 0.0}, "RMSprop", {"lr": 0.01, "alpha": 0.95, "eps": 0.0}),
    ("adam", {"learning_rate": 0.05, "b2": 0.99}, "Adam", {"lr": 0.05, "betas": (0.9, 0.99)}),
    (
        "amsgrad", {"learning_rate": 0.05, "b2": 0.95, "eps": 1e-8, "bias_correction": True},
        "Adam", {"lr": 0.05, "betas": (0.9, 0.95), "amsgrad": True},
    ),
    (
        "rprop", {"learning_rate": 0.01, "eta_plus": 1.3, "eta_minus": 0.4, "step_max": 0.1, "step_min": 1e-3},
        "Rprop", {"lr": 0.01, "etas": (0.4, 1.3), "step_sizes": (1e-3, 0.1)},
    ),
    ("optax/sgd", {"learning_rate": 1e-4, "momentum": 0.8}, "SGD", {"lr": 1e-4, "momentum": 0.8}),
    ("optax/rmsprop", {"learning_rate": 0.01, "decay": 0.99, "eps_in_sqrt": False}, "RMSprop", {"lr": 0.01}),
    (
        "optax/adadelta", {"learning_rate": 1.0, "rho": 0.9, "eps": 1e-6},
        "Adadelta", {"lr": 1.0, "rho": 0.9, "eps": 1e-6},
    ),
    ("optax/adam", {"learning_rate": 0.05}, "Adam", {"lr": 0.05}),
    ("optax/adamax", {"learning_rate": 0.02}, "Adamax", {"lr": 0.02}),
    ("optax/adamw", {"learning_rate": 0.02, "weight_decay": 0.01}, "AdamW", {"lr": 0.02, "weight_decay": 0.01}),
    # Without PyTorch's schedule of the momentum.
    ("optax/nadam", {"learning_rate": 0.02}, "NAdam", {"lr": 0.02, "momentum_decay": 1e9}),
    ("optax/radam", {"learning_rate": 0.02, "eps": 0.0}, "RAdam", {"lr": 0.02, "eps": 0.0}),
]  # fmt: skip
"""Entry with its settings, and PyTorch's class with those that make it the same rule."""

PACKAGE: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("optax/lion", {"learning_rate": 1e-3}, "Lion", {"lr": 1e-3}),
    ("optax/sign_sgd", {"learning_rate": 1e-3}, "SignSGD", {"lr": 1e-3, "momentum": 0.0}),
    ("optax/contrib/adopt", {"learning_rate": 0.02}, "ADOPT", {"lr": 0.02}),
    ("optax/signum", {"learning_rate": 1e-3}, "SignSGD", {"lr": 1e-3}),
    ("optax/yogi", {"learning_rate": 0.02}, "Yogi", {"lr": 0.02}),
    ("optax/contrib/ademamix", {"learning_rate": 0.01}, "AdEMAMix", {"lr": 0.01}),
    ("optax/novograd", {"learning_rate": 0.02, "eps": 1e-8}, "NovoGrad", {"lr": 0.02, "betas": (0.9, 0.25)}),
    ("optax/contrib/prodigy", {"learning_rate": 1.0}, "Prodigy", {"lr": 1.0, "bias_correction": True}),
    ("optax/contrib/dadapt_adamw", {"learning_rate": 1.0}, "DAdaptAdam", {"lr": 1.0, "bias_correction": True}),
    # The package adds eps to the variance as well.
    ("optax/adabelief", {"learning_rate": 0.02, "eps": 0.0, "eps_root": 0.0}, "AdaBelief", {"lr": 0.02, "eps": 0.0}),
    (
        "quasi_hyperbolic",
        {"learning_rate": 1e-3, "momentum": 0.9, "nu": 0.6},
        "QHM",
        {"lr": 1e-3, "momentum": 0.9, "nu": 0.6},
    ),
]
"""The same with classes of pytorch_optimizer."""


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    """Numbers that PyTorch keeps beside the parameters are float32 otherwise."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def path_of_torch(make: Any, steps: int = STEPS) -> np.ndarray:
    """Iterates 1 … steps on Rosenbrock's function in float64."""
    x = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer, found = make([x]), []
    for _ in range(steps):
        optimizer.zero_grad()
        f = torch.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
        f.backward()
        optimizer.step()
        found.append(x.detach().numpy().copy())
    return np.array(found)


def agree(entry: str, given: dict[str, Any], theirs: np.ndarray) -> None:
    ours = path(CATALOGUE[entry], oracle_of(rosenbrock), START, STEPS, **given)
    assert np.abs(ours[-1] - START).max() > 1e-2, "it hardly moved: nothing was compared"
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("entry, given, name, settings", TORCH, ids=[case[0] for case in TORCH])
def test_a_rule_is_that_of_torch(entry: str, given: dict[str, Any], name: str, settings: dict[str, Any]) -> None:
    agree(entry, given, path_of_torch(lambda x: getattr(torch.optim, name)(x, **settings)))


@pytest.mark.parametrize(
    "entry, given, name, settings", PACKAGE, ids=lambda told: told if isinstance(told, str) else ""
)
def test_a_rule_is_that_of_the_package(entry: str, given: dict[str, Any], name: str, settings: dict[str, Any]) -> None:
    package = pytest.importorskip("pytorch_optimizer", reason="it is not installed: pip install 'gdbench[oracles]'")
    agree(entry, given, path_of_torch(lambda x: getattr(package, name)(x, **settings)))
