"""The ways to do the work, by name: one more entry is one more row."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from gdbench.bench import limit, peers, product
from gdbench.bench.timing import Ready
from gdbench.bench.work import Work

PLAIN, LIMIT, LIMIT_OF_ONE_CORE = "jit-vmap-scan", "limit-all-cores", "limit"
"""What the others are compared with."""


@dataclass(frozen=True, eq=False)
class Way:
    """A way to do the work.

    Attributes:
        name: for ``--only``.
        summary: what it is.
        ready: makes it ready to run, compiled.
    """

    name: str
    summary: str
    ready: Callable[[Work], Ready]


PEERS = (
    Way("torch-optim", "torch.optim, one run at a time", peers.torch_optim),
    Way("optax-loop", "optax, a jitted step in a Python loop, one run at a time", peers.optax_loop),
    Way("numpy", "NumPy by hand, one batch", peers.numpy_by_hand),
    Way("torch-batch", "torch, one batch", peers.torch_batch),
    Way(PLAIN, "plain jit(vmap(scan))", peers.plain),
)

LIMITS = (
    Way(LIMIT_OF_ONE_CORE, "C by hand on one core", functools.partial(limit.ready, every_core=False)),
    Way(LIMIT, "C by hand on all cores", functools.partial(limit.ready, every_core=True)),
)


def product_ways() -> tuple[Way, ...]:
    """gdbench, an entry for each engine and record."""
    return tuple(
        Way(
            f"gdbench-{engine}-{record}",
            f"gdbench, engine {engine}, record {record}",
            functools.partial(product.ready, engine=engine, record=record),
        )
        for engine in product.engines()
        for record in product.records()
    )


def all_ways() -> tuple[Way, ...]:
    """Every way, slowest kind first."""
    return (*PEERS, *product_ways(), *LIMITS)
