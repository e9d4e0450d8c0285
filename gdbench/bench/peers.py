"""What people do without gdbench: torch.optim, optax in a loop, NumPy by hand, one batch in torch, jit(vmap(scan))."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from gdbench.bench.timing import Ready, UnavailableError, cores, timed
from gdbench.bench.work import B1, B2, EPS, Work, descend
from gdbench.lazy import jax, jnp, lax, optax


def torch_module() -> Any:
    """Torch, where it is installed."""
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise UnavailableError(f"torch cannot be imported: {error}") from None


def fastest_threads(run: Callable[[], Any]) -> int:
    """Threads of torch with which something is fastest, one or a thread a core.

    On a machine that others use too, or with small arrays, threads that wait for each other cost more than they give.
    """

    def seconds(threads: int) -> float:
        torch_module().set_num_threads(threads)
        return min(timed(run, 2)[0].steady)

    return min({1, cores()}, key=seconds)


def rosenbrock(z: Any) -> Any:
    """(1 − x)² + 100 (y − x²)²."""
    return (1 - z[0]) ** 2 + 100 * (z[1] - z[0] ** 2) ** 2


def torch_optim(work: Work) -> Ready:
    """torch.optim, one run after the other."""
    torch, lanes = torch_module(), work.spread(work.single)
    kind = torch.optim.SGD if work.optimizer == "gd" else torch.optim.Adam

    def one(rate: float, x: float, y: float) -> float:
        z = torch.tensor([x, y], dtype=torch.float32, requires_grad=True)
        optimizer, best = kind([z], lr=rate), float("inf")
        for _ in range(work.steps):
            optimizer.zero_grad()
            value = rosenbrock(z)
            value.backward()
            optimizer.step()
            best = min(best, float(value.detach()))
        return min(best, float(rosenbrock(z.detach())))

    rows = list(zip(*(column.tolist() for column in work.arguments(lanes)), strict=True))
    return Ready(lambda: [one(*row) for row in rows], np.asarray, lanes)


def torch_batch(work: Work) -> Ready:
    """All lanes as one batch in torch, gradients by autograd, the rule by hand (torch.optim has one rate for all).

    On one thread or on as many as there are cores, whichever is faster here.
    """
    torch = torch_module()
    rate, *start = (torch.from_numpy(column) for column in work.arguments())

    def rule(k: int, z: list[Any], gradient: list[Any], state: list[Any]) -> None:
        if work.optimizer == "gd":
            for x, g in zip(z, gradient, strict=True):
                x.sub_(rate * g)
            return
        for x, g, (m, v) in zip(z, gradient, state, strict=True):
            m.mul_(B1).add_(g, alpha=1 - B1)
            v.mul_(B2).addcmul_(g, g, value=1 - B2)
            x.sub_(rate * (m / (1 - B1**k)) / ((v / (1 - B2**k)).sqrt_() + EPS))

    def run(steps: int) -> Any:
        z = [column.clone().requires_grad_() for column in start]
        state = [(torch.zeros_like(rate), torch.zeros_like(rate)) for _ in z]
        best = torch.full_like(rate, float("inf"))
        for k in range(1, steps + 1):
            value = rosenbrock(z)
            gradient = torch.autograd.grad(value.sum(), z)
            with torch.no_grad():
                torch.fmin(best, value, out=best)
                rule(k, z, list(gradient), state)
        return torch.fmin(best, rosenbrock([x.detach() for x in z]))

    torch.set_num_threads(fastest_threads(lambda: run(max(1, work.steps // 20))))
    return Ready(lambda: run(work.steps), lambda best: best.numpy(), np.arange(work.lanes))


def optax_loop(work: Work) -> Ready:
    """optax with a jitted step in a Python loop, one run after the other."""
    lanes = work.spread(work.single)
    make = optax.sgd if work.optimizer == "gd" else optax.adam

    def step(z: Any, state: Any, best: Any, rate: Any) -> Any:
        value, gradient = jax.value_and_grad(rosenbrock)(z)
        update, state = make(rate).update(gradient, state)
        return optax.apply_updates(z, update), state, jnp.fmin(best, value)

    rate, x, y = work.arguments(lanes)
    points, init = np.stack([x, y], 1), make(0.1).init
    begin = time.perf_counter()
    z, top = jnp.asarray(points[0]), jnp.float32(jnp.inf)
    compiled = jax.jit(step).lower(z, init(z), top, rate[0]).compile()
    seconds = time.perf_counter() - begin

    def one(rate: Any, point: np.ndarray) -> float:
        z, best = jnp.asarray(point), top
        state = init(z)
        for _ in range(work.steps):
            z, state, best = compiled(z, state, best, rate)
        return float(jnp.fmin(best, rosenbrock(z)))

    return Ready(lambda: [one(*row) for row in zip(rate, points, strict=True)], np.asarray, lanes, seconds)


def numpy_by_hand(work: Work) -> Ready:
    """All lanes as one batch in NumPy, value and gradient by hand."""
    arguments = work.arguments()
    return Ready(lambda: descend(work.optimizer, *arguments, work.steps), np.asarray, np.arange(work.lanes))


def descent(
    objective: Callable[[Any], Any], optimizer: str, steps: int, noise: Callable[[Any, Any], Any] | None = None
) -> Callable[[Any, Any], Any]:
    """(rate, start) -> (last point, best value): a scan of steps as one would write it by hand.

    ``noise`` (x, k) -> x moves every iterate; it serves the check alone.
    """

    def rule(rate: Any, gradient: Any, state: Any, k: Any) -> tuple[Any, Any]:
        if optimizer == "gd":
            return rate * gradient, state
        m, v = B1 * state[0] + (1 - B1) * gradient, B2 * state[1] + (1 - B2) * gradient**2
        n = (k + 1).astype(m.dtype)
        return rate * (m / (1 - B1**n)) / (jnp.sqrt(v / (1 - B2**n)) + EPS), (m, v)

    def one(rate: Any, start: Any) -> Any:
        def step(carry: Any, k: Any) -> Any:
            x, state, best = carry
            value, gradient = jax.value_and_grad(objective)(x)
            update, state = rule(rate, gradient, state, k)
            x = x - update if noise is None else noise(x - update, k)
            return (x, state, jnp.fmin(best, value)), None

        state = () if optimizer == "gd" else (jnp.zeros_like(start), jnp.zeros_like(start))
        top = jnp.full((), jnp.inf, start.dtype)
        (x, _, best), _ = lax.scan(step, (start, state, top), jnp.arange(steps))
        return x, jnp.fmin(best, objective(x))

    return one


def compiled_batch(one: Callable[..., Any], *arguments: np.ndarray) -> tuple[Callable[[], Any], float]:
    """jit(vmap(one)) of some arguments on the default device, and the seconds that compiling it took."""
    placed = [jnp.asarray(a) for a in arguments]
    begin = time.perf_counter()
    compiled = jax.jit(jax.vmap(one)).lower(*placed).compile()
    seconds = time.perf_counter() - begin
    return lambda: jax.block_until_ready(compiled(*placed)), seconds


def plain(work: Work) -> Ready:
    """jit(vmap(scan)) over all lanes, the rule by hand."""
    rate, x, y = work.arguments()
    one = descent(rosenbrock, work.optimizer, work.steps)
    run, seconds = compiled_batch(one, rate, np.stack([x, y], 1))
    return Ready(run, lambda out: np.asarray(out[1]), np.arange(work.lanes), seconds)
