"""CUTEst: unconstrained problems of the collection, ``cutest/rosenbr`` and so on, as sif2jax has them in JAX.

They are there with the extra ``cutest``. Objectives are those of sif2jax; what is known of them stands in
``table.json``, so that listing and building them imports neither sif2jax nor JAX. How the table was made, with sif2jax
0.0.8:

- Taken were the problems that sif2jax publishes as unconstrained, with at most 100 variables (those of a free size in
  100 or less), whose class states a minimum.
- Each was minimised in float64, by BFGS and L-BFGS-B of SciPy, from CUTEst's start, from the stated minimizer and from
  random points around them. A problem was left out if the lowest value found was not the stated minimum, to 1e-6 or to
  the digits that are stated, or if the stated minimizer was none.
- Minimizers were then polished by Newton's method; minimum and curvature are those of float64.
- The box has the half width max(1, |start|, 1.1 |minimizer - start|) around CUTEst's start, coordinate by coordinate,
  for CUTEst states none. Problems whose values and gradients are not finite there, or beyond 1e30, were left out.

Further global minimizers may be unknown, except where the function is quadratic.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gdbench.contracts import Problem, ProblemFamily, problem_family
from gdbench.problems.cutest import foreign

PREFIX = "cutest/"

SOURCE = (
    "CUTEst (Gould, Orban and Toint, Computational Optimization and Applications 60 (2015) 545-557), as written in JAX "
    "by sif2jax (Haffner and Viljoen)"
)

NOTES = "The facts were checked with sif2jax 0.0.8; another release may have another function under this name."


def needs_extra(name: str) -> bool:
    """Whether a name asks for these problems while the extra is not installed."""
    return name.startswith(PREFIX) and not foreign.installed()


def entries() -> list[ProblemFamily]:
    """One entry a problem of the table; none where sif2jax is not installed."""
    return [_family(name, known) for name, known in table().items()] if foreign.installed() else []


@functools.cache
def table() -> Mapping[str, Mapping[str, Any]]:
    """What is known, by the name in CUTEst.

    ``classification`` is CUTEst's. ``sizes``, where there are any, are what the class is called with, and ``module`` is
    its file, where that has another name. ``start`` and ``minimizers`` tell their first numbers where these come again
    and again. ``curvature`` holds the smallest and largest eigenvalue of the Hessian at the minimizers; ``quadratic``
    says that the Hessian is constant, ``separable`` that it is diagonal.
    """
    return json.loads(Path(__file__).with_name("table.json").read_text(encoding="utf-8"))


def _family(name: str, known: Mapping[str, Any]) -> ProblemFamily:
    build = _builder(name, known)
    build.__doc__ = f"CUTEst's {name}, of class {known['classification']}."
    return problem_family(PREFIX + name.lower())(build)


def _builder(name: str, known: Mapping[str, Any]) -> Callable[[], Problem]:
    def build() -> Problem:
        dim, sizes = known["dim"], known.get("sizes", {})
        start = np.resize(np.array(known["start"], float), dim)
        minimizers = np.array([np.resize(np.array(row, float), dim) for row in known["minimizers"]])
        half_width = np.maximum(np.maximum(1.0, np.abs(start)), 1.1 * np.abs(minimizers[0] - start))
        quadratic = known.get("quadratic", False)
        low, high = known["curvature"]
        return Problem(
            name=PREFIX + name.lower(),
            dim=dim,
            formula=f"see the SIF file {name} of CUTEst, classification {known['classification']}",
            source=SOURCE,
            objective=foreign.objective(name, known.get("module", name.lower()), sizes),
            box=(start - half_width, start + half_width),
            start=start,
            minimum=known["minimum"],
            minimizers=minimizers,
            all_minimizers=quadratic,
            curvature=lambda parameters: (low, high),
            curvature_is_local=not quadratic,
            convex=True if quadratic else None,
            separable=known.get("separable", False),
            notes=NOTES,
        )

    return build
