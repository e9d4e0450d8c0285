"""What the 24 functions have in common: their settings, their box, and where they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gdbench.contracts import Problem
from gdbench.problems.bbob.instances import Instance
from gdbench.problems.boxes import cube
from gdbench.problems.rosenbrock import curvature_at_minimizer
from gdbench.problems.settings import refuse, whole_number

SOURCE = (
    "Hansen, Finck, Ros and Auger, Real-Parameter Black-Box Optimization Benchmarking 2009: Noiseless Functions "
    "Definitions, INRIA RR-6829, 2009; instances and values are those of COCO (Hansen et al., Optimization Methods "
    "and Software 36, 2021, 114-144)"
)


def instance_of(function: int, dim: Any, instance: Any) -> Instance:
    """The instance with these settings.

    Raises:
        SuiteError: dim is no integer of at least 2, or instance none of at least 1.
    """
    name = f"bbob/f{function}"
    refuse(whole_number(name, "dim", dim, 2) + whole_number(name, "instance", instance, 1))
    return Instance(function, int(dim), int(instance))


def described(
    case: Instance, objective: Callable[..., Any], data: Mapping[str, np.ndarray], formula: str, **facts: Any
) -> Problem:
    """The problem of one instance, f_opt left out of its objective.

    Args:
        case: which instance.
        objective: (x, data, parameters) -> f(x) - f_opt, the same function object for all instances.
        data: arrays of the instance; x_opt [dim] is among them.
        formula: f(x) - f_opt in plain text.
        facts: further fields of the problem, or others than those below.
    """
    known = {
        "start": np.zeros(case.dim),  # COCO's initial solution too
        "all_minimizers": True,
        "convex": False,
        "target_unit": 1.0,  # COCO's targets are absolute
        "curvature_is_local": "curvature" in facts,
        "minimizers": np.array(data["x_opt"])[None, :],
    }
    return Problem(
        name=f"bbob/f{case.function}",
        objective=objective,
        dim=case.dim,
        formula=f"f_opt + {formula}",
        source=SOURCE,
        box=cube(case.dim, 5),
        minimum=case.f_opt,
        offset=case.f_opt,
        data=dict(data),
        **{**known, **facts},
    )


def valley_curvature(dim: int, factor: float) -> tuple[float, float]:
    """Smallest and largest eigenvalue of ``factor`` times the Hessian at the minimizer of Rosenbrock's function."""
    low, high = curvature_at_minimizer(dim)
    return factor * low, factor * high
