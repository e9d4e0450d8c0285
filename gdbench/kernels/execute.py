"""Compiled cells: blocks of fixed width, tiles of whole blocks, all local devices.

Every block of a cell runs the same executable, so what a lane returns depends neither on its place nor on the size of
the grid. A dispatch runs ``tile`` blocks on each device, one after the other; blocks of padding end at once.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import jaxpr_as_fun
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gdbench.errors import SuiteError
from gdbench.kernels import lanes
from gdbench.kernels.compiler import compiler_options
from gdbench.kernels.descent import Descent, Lane, Shared, divide, join, numerics
from gdbench.kernels.layout import Thresholds
from gdbench.kernels.scan import descend

_count_lock = threading.Lock()
_compiles = 0

CACHE_BYTES = 512 * 1024
"""What a block's state may take on a CPU, so that it stays in the second-level cache of a core."""

EMITTED_BYTES = 32 * 1024
"""What a chunk of the engine ``lanes`` may emit on a CPU, so that it stays in the first-level cache."""

LEAST_LANES = 64
"""Fewest lanes of a block: whole vectors on every machine."""

GPU_LANES = 1 << 16
"""Lanes of a block on a GPU: enough to fill it."""


def compile_count() -> int:
    """Programs compiled for cells by this process so far."""
    return _compiles


ENGINES = ("auto", "scan", "lanes")


def engine_refusal(descent: Descent, platform: str) -> str | None:
    """Why the engine ``lanes`` does not serve a descent, or None."""
    if platform != "cpu":
        return f"it is slower than scan on a {platform}"
    if descent.optimizer.host is not None:
        return "the method runs on the host"
    program, varies = descent.step_program()
    return lanes.refusal(program, varies)


def engine_of(descent: Descent, platform: str, wanted: str = "auto") -> str:
    """The engine by the rule: ``lanes`` where it serves, else ``scan``.

    Raises:
        SuiteError: for ``lanes`` where it does not serve.
    """
    why = engine_refusal(descent, platform) if wanted != "scan" else ""
    if wanted == "lanes" and why:
        raise SuiteError([f"the engine 'lanes' does not serve {descent.optimizer.name} here: {why}"])
    return "lanes" if why is None else "scan"


def block_lanes(descent: Descent, dtype: Any, platform: str) -> int:
    """Lanes per block: a power of two of at least 64, by problem, optimizer, dtype, engine and device kind alone.

    On a CPU as many as fit the cache, at most 1,024: measured fastest for small problems; of the engine ``lanes`` as
    many as emit what stays in the first-level cache, and as XLA does not spread over threads. On a GPU 65,536, fewer
    where a lane is large.
    """
    if descent.optimizer.host is not None:
        return LEAST_LANES
    size, dim = np.dtype(dtype).itemsize, descent.problem.dim
    words = 4 * dim + sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(descent.state_shape(dtype))) + 64
    room, most = (CACHE_BYTES, 1024) if platform == "cpu" else (1 << 30, GPU_LANES)
    fitting = min(most, room // (words * size))
    if descent.engine == "lanes":
        # What the steps of a chunk emit is read again at once: value and distance from the start.
        emitted = 2 * descent.layout.chunk * size
        fitting = min(fitting, EMITTED_BYTES // emitted, lanes.most_lanes(*descent.step_program(), dim, size))
    return 1 << (max(LEAST_LANES, fitting).bit_length() - 1)


def unless_empty(block: Any) -> Any:
    """A block's jaxpr as a function that is skipped where the count before its arguments is 0."""

    def nothing(*args: Any) -> list[Any]:
        return [jnp.zeros(a.shape, a.dtype) for a in block.out_avals]

    return lambda count, *args: lax.cond(count > 0, jaxpr_as_fun(block), nothing, *args)


class Packed(NamedTuple):
    """Columns of lanes by type: reals [lanes, n], whole numbers [lanes, m], and the wider arrays as they are.

    A compiled loop over blocks slices every array it is given by itself; a few arrays compile in half the time of
    forty.
    """

    reals: Any
    wholes: Any
    wide: list[Any]


def pack(tree: Any) -> tuple[Packed, Any]:
    """The leaves of a pytree, each [lanes] or [lanes, …], and what ``unpack`` needs to put them back."""
    leaves, shape = jax.tree.flatten(tree)
    reals = [i for i, a in enumerate(leaves) if a.ndim == 1 and jnp.issubdtype(a.dtype, jnp.floating)]
    wholes = [i for i, a in enumerate(leaves) if a.ndim == 1 and i not in reals]
    wide = [i for i, a in enumerate(leaves) if a.ndim > 1]
    stack = np.stack if all(isinstance(a, np.ndarray) for a in leaves) else jnp.stack

    def columns(which: list[int], dtype: Any) -> Any:
        if not which:
            return np.zeros((len(leaves[0]), 0), dtype)
        return stack([leaves[i].astype(dtype) for i in which], 1)

    real = leaves[reals[0]].dtype if reals else np.float32
    return Packed(columns(reals, real), columns(wholes, np.int32), [leaves[i] for i in wide]), (
        shape, reals, wholes, wide,
    )  # fmt: skip


def unpack(packed: Packed, layout: Any) -> Any:
    """The pytree whose leaves were packed; whole numbers come back as int32."""
    shape, reals, wholes, wide = layout
    leaves: dict[int, Any] = {i: packed.reals[:, n] for n, i in enumerate(reals)}
    leaves |= {i: packed.wholes[:, n] for n, i in enumerate(wholes)}
    leaves |= dict(zip(wide, packed.wide, strict=True))
    return jax.tree.unflatten(shape, [leaves[i] for i in range(len(leaves))])


class Program:
    """One cell compiled for some devices: arrays of lanes in, arrays of records out."""

    deadline = float("inf")
    """When it must be done, on the clock of ``time.perf_counter``; heeded where a dispatch runs on the host."""

    def __init__(self, descent: Descent, dtype: str, block: int, tile: int, devices: Sequence[Any]) -> None:
        self.descent, self.dtype, self.block, self.tile = descent, np.dtype(dtype), block, tile
        self.mesh = Mesh(np.array(devices), ("devices",))
        self.blocks = tile * len(devices)
        self._compiled: Any = None
        self._lane: Any = None
        self._record: Any = None

    def _context(self) -> Any:
        return numerics(self.dtype)

    def lanes(self, n: int) -> Lane:
        """The shapes of n lanes' arguments."""
        problem, scalar = self.descent.problem, jax.ShapeDtypeStruct((n,), self.dtype)
        index = jax.ShapeDtypeStruct((n,), np.int32)
        return Lane(
            {k: jax.ShapeDtypeStruct((n, *a.shape), a.dtype) for k, a in self.descent.arguments(self.dtype).items()},
            {name: scalar for name in problem.parameters},
            jax.ShapeDtypeStruct((n, problem.dim), self.dtype), index, index, Thresholds(*[scalar] * 7),
        )  # fmt: skip

    def compile(self, shared: Shared) -> None:
        """Compile ahead of time; shapes come from the cell, values of ``shared`` do not matter."""
        global _compiles
        self.descent.one_piece = self.descent.engine == "lanes"
        try:
            self._compile(shared)
        except jax.errors.JaxRuntimeError:
            # Of what XLA does not compile to one piece (a loop that it spreads over threads) it says so only then.
            if not self.descent.one_piece:
                raise
            self.descent.one_piece = False
            self._compile(shared)
        with _count_lock:
            _compiles += 1

    def _compile(self, shared: Shared) -> None:
        by_device, everywhere = (NamedSharding(self.mesh, PartitionSpec(*spec)) for spec in (("devices",), ()))

        def run_block(lanes: Packed, common: Lane, shared: Shared) -> Packed:
            def one(lane: Lane) -> dict[str, Any]:
                return descend(self.descent, join(lane, common), shared)

            records = jax.vmap(one)(unpack(lanes, self._lane))
            packed, self._record = pack(records)
            return packed

        with self._context():
            shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(np.shape(a), a.dtype), shared)
            counts = jax.ShapeDtypeStruct((self.blocks,), np.int32)
            own, common = divide(self.lanes(1), self.descent.varying)
            common = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), common)
            packed, self._lane = pack(jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), own))
            blocks = jax.tree.map(
                lambda a: jax.ShapeDtypeStruct((self.blocks, self.block, *a.shape[1:]), a.dtype), packed
            )
            # Traced outside of shard_map, whose meshes in the types of arrays lineax does not take (its issue 185).
            one_block = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), blocks)
            block, out = jax.make_jaxpr(run_block, return_shape=True)(one_block, common, shapes)
            run_leaves = unless_empty(block)

            def run_device(counts: Any, lanes: Packed, common: Lane, shared: Shared) -> Packed:
                def run(args: tuple[Any, Packed]) -> Packed:
                    leaves = run_leaves(*jax.tree.leaves((*args, common, shared)))
                    return jax.tree.unflatten(jax.tree.structure(out), leaves)

                return lax.map(run, (counts, lanes))

            spec = PartitionSpec("devices")
            mapped = jax.shard_map(
                run_device,
                mesh=self.mesh,
                in_specs=(spec, spec, PartitionSpec(), PartitionSpec()),
                out_specs=spec,
                check_vma=False,
            )
            given = (by_device, by_device, everywhere, everywhere)
            jitted = jax.jit(mapped, in_shardings=given, out_shardings=by_device)
            self._compiled = jitted.lower(counts, blocks, common, shapes).compile(compiler_options=compiler_options())

    def place(self, shared: Shared) -> Shared:
        """The shared arguments on every device."""
        with self._context():
            return jax.device_put(shared, NamedSharding(self.mesh, PartitionSpec()))

    def start(self, lanes: Lane, shared: Shared) -> Any:
        """Dispatch up to ``blocks * block`` lanes; returns at once. Missing lanes repeat the last one."""
        n, full = len(lanes.x0), self.blocks * self.block
        counts = np.clip(n - self.block * np.arange(self.blocks), 0, self.block).astype(np.int32)
        index = np.minimum(np.arange(full), n - 1)
        own, common = divide(lanes, self.descent.varying)
        packed, _ = pack(own)
        split = jax.tree.map(lambda a: a[index].reshape(self.blocks, self.block, *a.shape[1:]), packed)
        with self._context():
            return self._compiled(counts, split, jax.tree.map(lambda a: a[0], common), shared), n

    def fetch(self, pending: Any) -> dict[str, np.ndarray]:
        """Wait for a dispatch and bring its records to the host as NumPy arrays [lanes, …]."""
        out, n = pending
        full = self.blocks * self.block
        flat = jax.tree.map(lambda a: np.asarray(a).reshape(full, *a.shape[2:])[:n], jax.device_get(out))
        return unpack(flat, self._record)


def local_devices(limit: int | None = None) -> list[Any]:
    """The local devices of the default backend, at most ``limit`` of them."""
    devices = jax.local_devices()
    return devices if limit is None else devices[:limit]


def split_cpu(cores: int) -> None:
    """Give JAX one virtual CPU device a core, unless it has started or was told otherwise."""
    if getattr(jax.config, "jax_num_cpu_devices", -1) > 0:
        return
    try:
        jax.config.update("jax_num_cpu_devices", cores)
    except RuntimeError:
        # The backend runs already, in a process that is not ours alone: its devices are what there is.
        return


def to_dtype(tree: Any, dtype: Any) -> Any:
    """Floating leaves of a pytree in this dtype, as NumPy arrays."""

    def cast(leaf: Any) -> np.ndarray:
        array = np.asarray(leaf)
        with np.errstate(over="ignore"):  # too large for float32 is infinite, and an outcome of its own
            return array.astype(dtype) if np.issubdtype(array.dtype, np.floating) else array

    return jax.tree.map(cast, tree)


__all__ = [
    "Descent", "Lane", "Program", "Shared", "Thresholds", "block_lanes", "compile_count", "jnp", "local_devices",
    "split_cpu", "to_dtype",
]  # fmt: skip
