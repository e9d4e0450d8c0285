"""Compiled cells: blocks of fixed width, tiles of whole blocks, all local devices.

Every block of a cell runs the same executable, so what a lane returns depends neither on its place nor on the size of
the grid. A dispatch runs ``tile`` blocks on each device, one after the other; blocks of padding end at once.
"""

from __future__ import annotations

import concurrent.futures
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
from gdbench.kernels import fused, native, reach, saved
from gdbench.kernels import lanes as lanes_engine
from gdbench.kernels.compiler import compiler_options
from gdbench.kernels.descent import Descent, Lane, Shared, divide, join, numerics
from gdbench.kernels.judging import judge_apart
from gdbench.kernels.layout import Thresholds
from gdbench.kernels.scan import descend, walk

_count_lock = threading.Lock()
_compiles = 0
_judges: dict[Any, concurrent.futures.Future[Any]] = {}

CACHE_BYTES = 512 * 1024
"""What a block's state may take on a CPU, so that it stays in the second-level cache of a core."""

LANE_BYTES = 256
"""What a lane of the engine ``lanes`` emits in a chunk, about: two numbers at each of some 32 steps."""

FIRST_CACHE_BYTES = 32 * 1024
"""The first-level cache of a core: what a chunk emits is read again at once."""

MOST_TILE = 16
"""Most blocks a dispatch on one device."""

LANES_DISPATCHED = 16384
"""Lanes a dispatch of the engine ``lanes`` on one device."""

LEAST_LANES = 64
"""Fewest lanes of a block: whole vectors on every machine."""

GPU_LANES = 1 << 16
"""Lanes of a block on a GPU: enough to fill it."""


def compile_count() -> int:
    """Programs compiled for cells by this process so far."""
    return _compiles


ENGINES = ("auto", "scan", "lanes", "fused", "native")


def engine_refusal(descent: Descent, platform: str, engine: str = "lanes") -> str | None:
    """Why the engine ``lanes``, ``fused`` or ``native`` does not serve a descent, or None.

    On a CPU ``fused`` is interpreted: slow, but all of it is there to be tested.
    """
    if engine == "fused":
        served = platform in ("cpu", "gpu", "cuda")
        return fused.refusal(descent) if served else f"it has no kernel for a {platform}"
    if engine == "native":
        return native.refusal(descent) if platform == "cpu" else f"it has no code for a {platform}"
    if platform != "cpu":
        return f"it is slower than scan on a {platform}"
    if descent.optimizer.host is not None:
        return "the method runs on the host"
    # What is judged apart is soon run, and the engine takes half the time to compile.
    return descent.facts.refusal or (None if descent.apart else descent.facts.slow)


def engine_of(descent: Descent, platform: str, wanted: str = "auto") -> str:
    """The engine by the rule, or the one that is asked for.

    Raises:
        SuiteError: for an engine that is asked for where it does not serve.
    """
    if wanted == "scan":
        return wanted
    if wanted == "auto":
        return ruled(descent, platform)[0]
    why = engine_refusal(descent, platform, wanted)
    if why:
        raise SuiteError([f"the engine {wanted!r} does not serve {descent.optimizer.name} here: {why}"])
    return wanted


def ruled(descent: Descent, platform: str) -> tuple[str, str | None]:
    """The engine by the rule, and for ``scan`` why it is not ``lanes``: ``native`` where it serves and pays, then
    ``lanes``; never ``fused``, which no GPU has run yet.
    """
    if engine_refusal(descent, platform, "native") is None and native.pays(descent):
        return "native", None
    why = engine_refusal(descent, platform)
    return ("scan" if why else "lanes"), why


APART_UP_TO = 400
"""Steps up to which the judge of a descent is compiled apart, once for all cells that differ in nothing it asks for: a
cell then takes a quarter of the time to compile, and its steps hand over what they show through memory.
"""

JUDGED_LANES = 2048, 32768
"""Lanes a device that are judged in one dispatch: of a small grid and of a large one. Two numbers, so that cells share
their judge whatever their blocks and grids.
"""

WALK_BYTES = 128 * 1024 * 1024
"""What the walks of a dispatch may take on a device."""

JUDGED_BLOCK = 256
"""Lanes that are judged together."""


def judged_apart(descent: Descent, platform: str) -> bool:
    """Whether a descent is judged by a program of its own."""
    return platform == "cpu" and not descent.shape.bare and not descent.problem.stochastic and not descent.counted and (
        descent.shape.steps <= APART_UP_TO
    )  # fmt: skip


def tile_of(descent: Descent, dtype: Any, block: int, lanes: int) -> int:
    """Blocks a dispatch on each device, of so many lanes there: enough to keep it busy, or as many as are judged."""
    if not descent.apart:
        # Blocks of the engine ``lanes`` are small and soon done: a dispatch must outlast what the host does for it.
        most = LANES_DISPATCHED // block if descent.engine in ("lanes", "native") else MOST_TILE
        return max(1, min(most, -(-lanes // block)))
    words = 4 + descent.problem.dim * bool(descent.shape.path_steps)
    fitting = WALK_BYTES // (words * np.dtype(dtype).itemsize * descent.shape.steps)
    few, many = JUDGED_LANES
    return max(1, (many if many <= min(lanes, fitting) else few) // block)


def block_lanes(descent: Descent, dtype: Any, platform: str) -> int:
    """Lanes per block: a power of two of at least 64, by problem, optimizer, dtype, engine and device kind alone.

    On a CPU as many as fit the cache, at most 1,024: measured fastest for small problems; of the engine ``lanes`` as
    many as emit what stays in the first-level cache, and as XLA does not spread over threads. On a GPU 65,536, of the
    engine ``fused`` 262,144; fewer where a lane is large.
    """
    if descent.optimizer.host is not None or descent.engine == "native":
        return LEAST_LANES
    size, dim = np.dtype(dtype).itemsize, descent.problem.dim
    words = 4 * dim + descent.facts.words + 64
    room, most = (CACHE_BYTES, 1024) if platform == "cpu" else (1 << 30, GPU_LANES)
    if descent.engine == "fused" and platform != "cpu":
        most = fused.BLOCK_LANES
    fitting = min(most, room // (words * size))
    if descent.engine == "lanes":
        emitting = FIRST_CACHE_BYTES // (LANE_BYTES * size // 4)
        fitting = min(fitting, emitting, lanes_engine.most_lanes(descent.facts.operations, dim, size))
    return 1 << (max(LEAST_LANES, fitting).bit_length() - 1)


def unless_empty(block: Any) -> Any:
    """A block's jaxpr as a function that is skipped where the count before its arguments is 0."""

    def nothing(*args: Any) -> list[Any]:
        return [jnp.zeros(a.shape, a.dtype) for a in block.out_avals]

    return lambda count, *args: lax.cond(count > 0, jaxpr_as_fun(block), nothing, *args)


def shapes_of(tree: Any) -> tuple[str, list[Any]]:
    """What stands for the structure of a pytree and the shapes of its leaves."""
    return str(jax.tree.structure(tree)), [(a.shape, str(a.dtype)) for a in jax.tree.leaves(tree)]


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
        self._judge: Any = None
        self._lane: Any = None
        self._record: Any = None

    @property
    def interpreted(self) -> bool:
        """Whether a GPU kernel is interpreted, for there is no GPU."""
        return self.mesh.devices.flat[0].platform == "cpu"

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
        with self._context():
            shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(np.shape(a), a.dtype), shared)
            own, common = divide(self.lanes(1), self.descent.varying)
            common = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), common)
            packed, self._lane = pack(jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), own))
            one_block = jax.tree.map(lambda a: jax.ShapeDtypeStruct((self.block, *a.shape[1:]), a.dtype), packed)
            key = self._key(one_block, common, shapes)
            kept = saved.load(key, list(self.mesh.devices.flat))
            if kept is None:
                hits = saved.hits()
                kept = self._compile_cell(one_block, (common, shapes))
                saved.save(key, *kept, hits)
            self._compiled, (out, self._record) = kept
            if self.descent.apart:
                self._judge, self._record = self._judge_of(out, own.thresholds, common.thresholds)

    def _where(self) -> list[tuple[int, str, str]]:
        """The devices it is compiled for."""
        return [(device.id, device.platform, device.device_kind) for device in self.mesh.devices.flat]

    def _key(self, *arguments: Any) -> str | None:
        """The name of the saved program."""
        d = self.descent
        if d.identity is None:
            return None
        varying = None if d.varying is None else sorted(d.varying)
        return saved.key_of(
            "cell", d.identity, sorted(d.static.items()), d.shape, d.engine, d.apart, d.one_piece, varying, self.blocks,
            self._where(), shapes_of(arguments), compiler_options(),
        )  # fmt: skip

    def _compile_cell(self, one_block: Any, common: Any) -> tuple[Any, Any]:
        """The compiled program, and the shapes of what a block gives and the layout of its records."""
        descent, layout = self.descent, None

        def run_block(lanes: Packed, common: Lane, shared: Shared) -> Any:
            nonlocal layout
            own, run = unpack(lanes, self._lane), walk if descent.apart else descend
            quick = [] if descent.apart else reach.quick_ranges(descent, own, common, shared)
            if descent.engine == "fused":
                records = fused.records(descent, own, common, shared, self.interpreted)
            elif any(quick):
                records = jax.vmap(lambda lane: reach.descend(descent, join(lane, common), shared, quick))(own)
            else:
                records = jax.vmap(lambda lane: run(descent, join(lane, common), shared))(own)
            if descent.apart:
                return records
            packed, layout = pack(records)
            return packed

        # A walk is short, and run once a lane.
        options = {"xla_backend_optimization_level": 1} if descent.apart else {}
        whole = descent.apart and descent.one_piece
        regroup = self._judged_together() if descent.apart else 0
        compiled, out = self._build(run_block, self.blocks, one_block, common, options, whole, regroup)
        return compiled, (out if descent.apart else None, layout)

    def _judge_of(self, walked: Any, own: Any, common: Any) -> tuple[Any, Any]:
        """The compiled judge of such walks, and the layout of its records; compiled once for all cells alike."""
        rules, layout = self.descent.rules, None
        size = self._judged_together()
        blocks = self.blocks * self.block // size
        limits = jax.tree.map(lambda a: jax.ShapeDtypeStruct((size,), a.dtype), own)
        walked = jax.tree.map(lambda a: jax.ShapeDtypeStruct((size, *a.shape[1:]), a.dtype), walked)

        def run_block(block: Any, common: Any) -> Packed:
            nonlocal layout
            own, walked = block

            def one(own: Any, walked: Any) -> dict[str, Any]:
                return judge_apart(rules, own or common, walked)

            packed, layout = pack(jax.vmap(one)(own, walked))
            return packed

        key = saved.key_of(
            "judge", rules, blocks, self._where(), shapes_of((limits, walked, common)), compiler_options()
        )

        def build() -> tuple[Any, Any]:
            kept = saved.load(key, list(self.mesh.devices.flat))
            if kept is None:
                hits = saved.hits()
                compiled, _ = self._build(run_block, blocks, (limits, walked), (common,), {})
                kept = compiled, layout
                saved.save(key, *kept, hits)
            return kept

        with _count_lock:
            mine = key not in _judges
            future = _judges.setdefault(key, concurrent.futures.Future())
        if mine:
            try:
                future.set_result(build())
            except BaseException as error:  # whoever waits for it gets it too
                with _count_lock:
                    del _judges[key]
                future.set_exception(error)
        compiled, layout = future.result()

        def judge(counts: np.ndarray, own: Any, walked: Any, common: Any) -> Any:
            lanes = (np.arange(self.block) < counts[:, None]).reshape(blocks, size).sum(1, dtype=np.int32)
            return compiled(lanes, (jax.tree.map(lambda a: a.reshape(blocks, size), own), walked), (common,))

        return judge, layout

    def _judged_together(self) -> int:
        """Lanes of a block of the judge: a power of two that divides the lanes of a device."""
        lanes = self.tile * self.block
        return min(JUDGED_BLOCK, lanes & -lanes)

    def _build(
        self, run_block: Any, number: int, one_block: Any, common: Any, options: dict[str, Any],
        one_piece: bool = False, regroup: int = 0,
    ) -> tuple[Any, Any]:  # fmt: skip
        """``run_block(block, *common)`` over the blocks of a dispatch, compiled, and the shapes of what a block gives.

        Its arguments: the lanes of each block that count, [blocks, ...], and what the blocks have in common. Its
        results are [blocks, ...] too, or in groups of so many lanes.
        """
        by_device, everywhere = (NamedSharding(self.mesh, PartitionSpec(*spec)) for spec in (("devices",), ()))
        counts = jax.ShapeDtypeStruct((number,), np.int32)
        blocks = jax.tree.map(lambda a: jax.ShapeDtypeStruct((number, *a.shape), a.dtype), one_block)
        # Traced outside of shard_map, whose meshes in the types of arrays lineax does not take (its issue 185).
        block, out = jax.make_jaxpr(run_block, return_shape=True)(one_block, *common)
        run_leaves = unless_empty(block)

        def run_device(counts: Any, blocks: Any, common: Any) -> Any:
            def run(args: tuple[Any, Any]) -> Any:
                leaves = run_leaves(args[0], *jax.tree.leaves((args[1], *common)))
                return jax.tree.unflatten(jax.tree.structure(out), leaves)

            def whole(args: tuple[Any, Any]) -> Any:
                out = lax.map(run, args)
                if not regroup:
                    return out
                groups = counts.shape[0] * self.block // regroup, regroup
                return jax.tree.map(lambda a: a.reshape(*groups, *a.shape[2:]), out)

            return (lanes_engine.one_piece(whole) if one_piece else whole)((counts, blocks))

        spec = PartitionSpec("devices")
        mapped = jax.shard_map(
            run_device, mesh=self.mesh, in_specs=(spec, spec, PartitionSpec()), out_specs=spec, check_vma=False
        )
        jitted = jax.jit(mapped, in_shardings=(by_device, by_device, everywhere), out_shardings=by_device)
        lowered = jitted.lower(counts, blocks, common)
        return lowered.compile(compiler_options=compiler_options() | (options if compiler_options() else {})), out

    def place(self, shared: Shared) -> Shared:
        """The shared arguments on every device."""
        with self._context():
            return jax.device_put(shared, NamedSharding(self.mesh, PartitionSpec()))

    def start(self, lanes: Lane, shared: Shared) -> Any:
        """Dispatch up to ``blocks * block`` lanes; returns at once. Missing lanes repeat the last one."""
        n, full = len(lanes.x0), self.blocks * self.block
        counts = np.clip(n - self.block * np.arange(self.blocks), 0, self.block).astype(np.int32)
        own, common = divide(lanes, self.descent.varying)
        common = jax.tree.map(lambda a: a[0], common)
        if n < full:
            index = np.minimum(np.arange(full), n - 1)
            own = jax.tree.map(lambda a: a[index], own)
        packed, _ = pack(own)
        split = jax.tree.map(lambda a: a.reshape(self.blocks, self.block, *a.shape[1:]), packed)
        with self._context():
            out = self._compiled(counts, split, (common, shared))
            if self._judge is not None:
                limits = jax.tree.map(lambda a: a.reshape(self.blocks, self.block), own.thresholds)
                out = self._judge(counts, limits, out, common.thresholds)
            return out, n

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
