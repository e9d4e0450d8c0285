"""The engine ``fused`` on the GPU of this machine: first whether it is right, then how fast; one JSON, ten minutes.

    python tests/gpu/measure.py --out fused.json

``--tiny`` runs all of it on a few lanes, interpreted where there is no GPU.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gdbench.contracts import CONVERGED, OUTCOMES
from gdbench.kernels import fused, scale
from gdbench.kernels.descent import Descent, Lane, Shared, divide, join, numerics
from gdbench.kernels.execute import GPU_LANES, Program, local_devices, to_dtype
from gdbench.kernels.fused import Launch
from gdbench.kernels.layout import Shape, Thresholds
from gdbench.kernels.scan import descend
from gdbench.plan import plain_descent

SECONDS = 540
"""After so many no further part is begun."""

CASES = [
    ("rosenbrock", "gd", "float32", False), ("rosenbrock", "gd", "float32", True),
    ("quadratic", "adam", "float32", False), ("himmelblau", "optax/lion", "float32", False),
    ("beale", "momentum", "float32", True), ("booth", "optax/rmsprop", "float32", False),
    ("rastrigin", "adam", "float32", False), ("ackley", "gd", "float32", False),
    ("rosenbrock", "adam", "float64", False),
]  # fmt: skip
"""Problem, optimizer, dtype, full record."""

LAUNCHES = [
    Launch(), Launch(unroll=1), Launch(unroll=4), Launch(unroll=16), Launch(64, 2), Launch(32, 1), Launch(256, 8),
    Launch(256, 4), Launch(512, 4), Launch(modern=False), Launch(at_once=False),
]  # fmt: skip


def descent_of(problem: str, optimizer: str, steps: int, full: bool = False) -> Descent:
    """A descent whose learning rate and start differ between lanes."""
    plain = plain_descent(problem, optimizer)
    descent = Descent(plain.problem, plain.optimizer, plain.static, Shape(steps, endpoint=True, full=full))
    descent.varying = plain.varying
    return descent


def block_of(
    descent: Descent, lanes: int, dtype: str, rates: tuple[float, float], scales: tuple[float, float] | None = None
) -> tuple[Lane, Lane, Shared]:
    """So many lanes: rates from end to end, starts at random in the box (or about the start).

    ``scales`` of the problem are measured if they are not given.
    """
    problem, rule = descent.problem, descent.optimizer
    rng = np.random.default_rng(0)
    s, g = scales or scale.measure_scales(problem, [dict(problem.parameters)])[0]
    low, high = problem.box or (np.asarray(problem.start) - 1, np.asarray(problem.start) + 1)
    width = float(np.max(np.asarray(high) - np.asarray(low)))
    aim = float(problem.minimum or 0)
    limits = [1e-4 * min(1, s), s, g, aim - problem.offset, problem.offset, abs(aim), width]
    hyper = {n: np.full(lanes, 0.1 if rule.hyperparameters[n].default is None else rule.hyperparameters[n].default)
             for n in descent.traced}  # fmt: skip
    hyper["learning_rate"] = np.geomspace(*rates, lanes)
    index = np.arange(lanes, dtype=np.int32)
    lane = Lane(
        hyper, {n: np.full(lanes, v) for n, v in problem.parameters.items()},
        rng.uniform(low, high, (lanes, problem.dim)), index, 0 * index,
        Thresholds(*[np.full(lanes, v) for v in limits]),
    )  # fmt: skip
    minimizers = np.zeros((0, problem.dim)) if problem.minimizers is None else np.asarray(problem.minimizers)
    held_out = () if problem.held_out is None else problem.held_out
    words, minimizers = (np.uint32(0), np.uint32(0)), minimizers.reshape(-1, problem.dim)
    shared = Shared(problem.data, words, minimizers, np.zeros(0), held_out)
    own, common = divide(to_dtype(lane, dtype), descent.varying)
    return own, jax.tree.map(lambda a: a[0], common), to_dtype(shared, dtype)


def interpreted() -> bool:
    """Whether there is no GPU here."""
    return local_devices(1)[0].platform == "cpu"


def engine(descent: Descent, name: str, launch: Launch | None = None) -> Callable[..., Any]:
    """The records of a block by an engine, compiled at the first call."""
    if name == "fused":
        interpret = interpreted()
        return jax.jit(lambda own, common, shared: fused.records(descent, own, common, shared, interpret, launch))

    def scan(own: Lane, common: Lane, shared: Shared) -> Any:
        return jax.vmap(lambda lane: descend(descent, join(lane, common), shared))(own)

    return jax.jit(scan)


def compare(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """How alike two sets of records are: shares of lanes, and the largest relative difference where both converged."""
    one, other = ({n: np.asarray(a) for n, a in r.items()} for r in (one, other))
    same = one["outcome"] == other["outcome"]
    calm = same & (one["outcome"] == CONVERGED)
    both = one["f_best"][same], other["f_best"][same]
    return {
        "outcomes": [OUTCOMES[n] for n in np.unique(one["outcome"])],
        "same_outcome": float(same.mean()), "same_steps": float((one["steps"] == other["steps"]).mean()),
        "same_flag": float((one["flag"] == other["flag"]).mean()),
        "close_best": float(np.isclose(*both, rtol=1e-3, atol=1e-6, equal_nan=True).mean()) if same.any() else None,
        "settle_within_2_percent": float(
            np.isclose(one["settle_step"][calm], other["settle_step"][calm], rtol=0.02, atol=1).mean()
        ) if calm.any() else None,
        "identical": all(np.array_equal(a, other[n], equal_nan=True) for n, a in one.items()),
    }  # fmt: skip


def check(problem: str, optimizer: str, dtype: str, full: bool, lanes: int, steps: int) -> dict[str, Any]:
    """Fused against scan, against itself on permuted lanes, and against itself judged point by point."""
    with numerics(dtype):
        descent = descent_of(problem, optimizer, steps, full)
        own, common, shared = block_of(descent, lanes, dtype, (1e-5, 3.0))
        run = engine(descent, "fused")
        ours = jax.device_get(run(own, common, shared))
        order = np.random.default_rng(1).permutation(lanes)
        mixed = jax.device_get(run(jax.tree.map(lambda a: a[order], own), common, shared))
        singly = engine(descent, "fused", Launch(at_once=False))(own, common, shared)
        return {
            "scan": compare(ours, jax.device_get(engine(descent, "scan")(own, common, shared))),
            "permuted": compare(jax.tree.map(lambda a: a[order], ours), mixed),
            "point_by_point": compare(ours, jax.device_get(singly)),
        }


def seconds(run: Callable[[], Any], times: int = 3) -> dict[str, float]:
    """The first call and the best of some more."""
    taken = []
    for _ in range(times + 1):
        begin = time.perf_counter()
        jax.block_until_ready(run())
        taken.append(time.perf_counter() - begin)
    return {"first": taken[0], "best": min(taken[1:])}


def speed(run: Callable[[], Any], lanes: int, steps: int) -> dict[str, float]:
    """Seconds, and lane-steps a second."""
    taken = seconds(run)
    return taken | {"lane_steps_per_second": lanes * steps / taken["best"]}


def plain_scan(x0: Any, rates: Any, steps: int) -> Any:
    """What anyone would write: the last x and the best value of gradient descent on Rosenbrock."""

    def f(x: Any) -> Any:
        return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2

    def one(x: Any, rate: Any) -> Any:
        def step(carry: Any, _: None) -> Any:
            x, best = carry
            value, gradient = jax.value_and_grad(f)(x)
            return (x - rate * gradient, jnp.minimum(best, value)), None

        return lax.scan(step, (x, jnp.float32(jnp.inf)), None, length=steps)[0]

    return jax.vmap(one)(x0, rates)


def rosenbrock(lanes: int, steps: int) -> tuple[Descent, tuple[Any, Any, Any]]:
    """Gradient descent at rates that keep every lane going: the time is not that of lanes that stop early."""
    descent = descent_of("rosenbrock", "gd", steps)
    return descent, jax.device_put(block_of(descent, lanes, "float32", (1e-6, 2e-4)))


def time_plain(lanes: int, steps: int) -> dict[str, float]:
    """``jit(vmap(scan))`` without outcomes."""
    own = rosenbrock(lanes, steps)[1][0]
    run = jax.jit(functools.partial(plain_scan, steps=steps))
    return speed(lambda: run(own.x0, own.hyperparameters["learning_rate"]), lanes, steps)


def time_engine(name: str, launch: Launch | None, lanes: int, steps: int) -> dict[str, float]:
    """All lanes in one call."""
    with numerics("float32"):
        descent, given = rosenbrock(lanes, steps)
        run = engine(descent, name, launch)
        return speed(lambda: run(*given), lanes, steps)


def time_map(side: int, steps: int) -> dict[str, float]:
    """A map of side² rates and starts through the compiled program of a cell, from host to host."""
    descent = descent_of("rosenbrock", "gd", steps)
    descent.engine = "fused"
    lanes = side * side
    block = min(fused.BLOCK_LANES, lanes)
    program = Program(descent, "float32", block, lanes // block, local_devices(1))
    own, common, shared = block_of(descent, lanes, "float32", (1e-6, 1e-2))
    lane = join(own, jax.tree.map(lambda a: np.broadcast_to(a, (lanes, *np.shape(a))), common))
    begin = time.perf_counter()
    program.compile(shared)
    compiled = time.perf_counter() - begin
    taken = speed(lambda: program.start(lane, program.place(shared))[0], lanes, steps)
    begin = time.perf_counter()
    program.fetch(program.start(lane, program.place(shared)))
    return taken | {"compile": compiled, "with_fetch": time.perf_counter() - begin}


def parts(tiny: bool) -> list[tuple[str, Callable[[], Any]]]:
    """Everything to be done, in its order."""
    few, lanes, steps, side = (256, 256, 40, 16) if tiny else (1 << 14, 1 << 24, 1000, 4096)
    out: list[tuple[str, Callable[[], Any]]] = []
    for case in CASES[:1] if tiny else CASES:
        out.append((f"check {' '.join(map(str, case))}", functools.partial(check, *case, few, 100 if tiny else 600)))
    out.append(("time plain", functools.partial(time_plain, lanes, steps)))
    for launch in [Launch(64, 2, 1)] if tiny else LAUNCHES:
        out.append((f"time fused {tuple(launch)}", functools.partial(time_engine, "fused", launch, lanes, steps)))
    if lanes > GPU_LANES:
        part = functools.partial(time_engine, "scan", None, GPU_LANES, steps)
        out.append((f"time scan of {GPU_LANES}", part))
    out.append(("time scan", functools.partial(time_engine, "scan", None, lanes, steps)))
    out.append((f"map {side}²", functools.partial(time_map, side, steps)))
    return out


def attempt(part: Callable[[], Any]) -> Any:
    """What a part gives, or how it failed: the others are wanted all the same."""
    try:
        return part()
    except Exception:  # whatever a compiler or driver raises is part of the findings
        return {"failed": traceback.format_exc(limit=-3)[-3000:]}


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """The goals: 1e12 lane-steps a second, 20 times the plain loop."""
    rates = {n: r["lane_steps_per_second"] for n, r in found.items() if "lane_steps_per_second" in r}
    best = max((n for n in rates if n.startswith("time fused")), key=lambda n: rates[n], default=None)
    plain = rates.get("time plain")
    return {
        "best": best, "lane_steps_per_second": best and rates[best],
        "times_plain": rates[best] / plain if best and plain else None,
    }  # fmt: skip


def main() -> None:
    """Run all parts and write what they find after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("fused.json"))
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    begin, found = time.monotonic(), {}
    for name, part in parts(given.tiny):
        late = time.monotonic() - begin > SECONDS
        found[name] = {"failed": "no time left"} if late else attempt(part)
        print(name, json.dumps(found[name]), flush=True)
        device = local_devices(1)[0]
        facts = {"device": device.device_kind, "jax": jax.__version__, "interpreted": interpreted()}
        given.out.write_text(json.dumps(facts | {"summary": summary(found), "parts": found}, indent=1))
    print(json.dumps(summary(found)))


if __name__ == "__main__":
    main()
